package rpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/identity"
)

// Whatever has the API of a client can be served, and a program at the other end
// of the socket has the same API.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	here, there := net.Pipe()
	go rpc.ServeConn(ctx, there, messenger{})
	c := rpc.NewClient(here)
	defer c.Close()

	var api client.API = c
	me, err := api.WhoAmI(ctx)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.Name)
	// Output: Ann
}

// messenger stands for a *client.Client.
type messenger struct{ client.API }

func (messenger) WhoAmI(context.Context) (client.Me, error) {
	return client.Me{ID: identity.GenerateSecretKey().Public(), Name: "Ann"}, nil
}

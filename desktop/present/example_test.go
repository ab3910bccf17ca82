package present_test

import (
	"context"
	"fmt"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/present"
)

// A toolkit gives the window two functions: one that runs something on the main
// loop, and one that draws. Here the main loop is a channel, and what is drawn is
// printed.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	loop := make(chan func(), 100)
	stage := present.Starting
	w := present.NewWindow(ctx, present.Config{
		Profile: nobody{},
		Post:    func(f func()) { loop <- f },
		Draw:    func(v present.View) { stage = v.Stage },
	})
	w.Start()
	for stage == present.Starting {
		(<-loop)()
	}
	fmt.Println(stage == present.Welcome)
	// Output: true
}

// nobody is a machine on which no profile was made yet.
type nobody struct{ present.Profile }

func (nobody) Attach(context.Context) (client.API, error) { return nil, client.ErrNoProfile }
func (nobody) HasPassphrase() bool                        { return false }

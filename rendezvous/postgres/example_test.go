package postgres_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sremp/sremp/rendezvous/postgres"
)

// A Store is given to rendezvous.ServerConfig twice, as Store and as Cluster, in
// each process of a fleet. Here there is no database: nothing is half open.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	store, err := postgres.Open(ctx, "host=/nonexistent user=sremp dbname=rendezvous", nil)
	fmt.Println(store == nil, err != nil)
	// Output: true true
}

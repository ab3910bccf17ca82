package postgres_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sremp/sremp/relay/postgres"
)

// Several relay processes may open one database. Here there is none: what is
// missing is said, and nothing is half open.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	store, err := postgres.Open(ctx, "host=/nonexistent user=sremp dbname=relay")
	fmt.Println(store == nil, err != nil)
	// Output: true true
}

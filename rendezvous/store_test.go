package rendezvous_test

import (
	"testing"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/storetest"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) rendezvous.Store { return &rendezvous.MemoryStore{} })
}

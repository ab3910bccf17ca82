package rendezvous

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// The lists of several servers are one list to who turns its pages: in order,
// everybody once, though some are on two lists and one server dies on the way.
func TestPoolPages(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 100} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3)
			const people = 8
			for i := range people {
				x := somebody(t, fmt.Sprintf("ann%c", 'a'+i))
				l := testListing(t, x.Local)
				x.Listing = &l
				w.pool(w.addrs[i%3], w.addrs[i%2]).Register(x)
			}
			synctest.Wait()
			seeker := w.pool(w.addrs...)
			var names []string
			s := Search{Name: "ANN", Limit: limit}
			for pages := 0; ; pages++ {
				page, err := seeker.BrowsePage(t.Context(), s)
				if err != nil || len(page.People) > limit || pages > 2*people {
					t.Fatalf("limit %d: page %d has %d people, %v", limit, pages, len(page.People), err)
				}
				for _, x := range page.People {
					if !x.Online {
						t.Errorf("limit %d: %s is not online", limit, x.Record.Name)
					}
					names = append(names, x.Record.Name)
				}
				if page.Next == nil {
					break
				}
				s.After = page.Next
			}
			for i := range people {
				if len(names) != people || names[i] != fmt.Sprintf("ann%c", 'a'+i) {
					t.Fatalf("limit %d: got %q, want everybody once, in order", limit, names)
				}
			}
		})
	}
}

func TestPoolPageErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		nobody := w.pool()
		if _, err := nobody.BrowsePage(t.Context(), Search{}); !errors.Is(err, ErrClosed) {
			t.Errorf("no server: got %v, want ErrClosed", err)
		}
		seeker := w.pool(w.addrs...)
		if _, err := seeker.BrowsePage(t.Context(), Search{After: []byte("x")}); err == nil {
			t.Error("a place that is none was taken")
		}
		if page, err := seeker.BrowsePage(t.Context(), Search{}); err != nil || page.Next != nil || len(page.People) != 0 {
			t.Errorf("empty lists: got %+v, %v", page, err)
		}
	})
}

// What waits for the servers is told how many did it, and not before.
func TestPoolRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.dead[w.addrs[2].ID] = true
		p := w.pool(w.addrs...)
		start := time.Now()
		if err := p.Tried(t.Context()); err != nil || time.Since(start) != poolDialTime {
			t.Errorf("tried after %v, %v, want the dead server's %v", time.Since(start), err, poolDialTime)
		}
		x := somebody(t, "Ada")
		l := testListing(t, x.Local)
		x.Listing = &l
		p.Register(x)
		if n := p.Registered(t.Context()); n != 2 {
			t.Errorf("at %d servers, want 2", n)
		}
		off := *x
		off.Listing = nil
		p.Register(&off)
		if n := p.Registered(t.Context()); n != 2 {
			t.Errorf("off at %d servers, want 2", n)
		}
		if page, err := p.BrowsePage(t.Context(), Search{}); err != nil || len(page.People) != 0 {
			t.Errorf("taken off, and there is %+v, %v", page.People, err)
		}
		p.Close()
		// An entry of an earlier connection goes too.
		again := w.pool(w.addrs[0])
		again.Register(x)
		again.Registered(t.Context())
		again.Close()
		third := w.pool(w.addrs[0])
		off.Unlist = true
		third.Register(&off)
		third.Registered(t.Context())
		if page, err := third.BrowsePage(t.Context(), Search{}); err != nil || len(page.People) != 0 {
			t.Errorf("taken off by a new connection, and there is %+v, %v", page.People, err)
		}
	})
}

package tr_test

import (
	"fmt"

	"github.com/sremp/sremp/desktop/tr"
)

// A text is its own key; one that no catalogue has is said in English.
func Example() {
	defer tr.Use(nil)
	german, ok := tr.Load("de")
	tr.Use(german)
	fmt.Println(ok, tr.T("Send"), tr.N("%d byte", "%d bytes", 2, 2))
	tr.Use(nil)
	fmt.Println(tr.T("Send"), tr.N("%d byte", "%d bytes", 2, 2))
	// Output:
	// true Senden 2 Bytes
	// Send 2 bytes
}

package wire_test

import (
	"fmt"

	"github.com/sremp/sremp/wire"
)

// Every structure is appended to a slice, and parsed back from exactly the bytes
// that were appended: a part of them, or one byte more, is an error.
func Example() {
	b := wire.ReadMark{Epoch: 0, Through: 7}.Append(nil)
	fmt.Printf("%x\n", b)

	mark, err := wire.ParseReadMark(b)
	fmt.Println(mark.Through, err)

	_, err = wire.ParseReadMark(b[:len(b)-1])
	fmt.Println(err)
	// Output:
	// 000000000000000000000007
	// 7 <nil>
	// wire: truncated
}

// A stream is a sequence of frames: a type, a length, and that many bytes.
func ExampleAppendFrame() {
	b := wire.AppendFrame(nil, wire.FrameMessage, []byte("sealed"))
	typ, n := wire.ParseFrameHeader([wire.FrameHeaderLen]byte(b))
	fmt.Printf("%#04x %d %s\n", typ, n, b[wire.FrameHeaderLen:])
	// Output: 0x0300 6 sealed
}

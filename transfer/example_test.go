package transfer_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// The receiver knows a file's size and root. With a chunk comes its proof, so
// that each is checked alone, in any order and from anybody.
func Example() {
	file := bytes.Repeat([]byte("all work and no play "), 50000)
	var leaves []byte
	tree, err := transfer.Build(context.Background(), bytes.NewReader(file), func(_ uint64, group []byte) error {
		leaves = append(leaves, group...)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	group, err := transfer.ParseGroup(tree.Size, 0, leaves)
	if err != nil {
		fmt.Println(err)
		return
	}

	last := transfer.Chunks(tree.Size) - 1
	chunk := wire.FileData{Index: last, Proof: tree.Proof(group, last), Data: bytes.Clone(file[last*wire.FileChunkLen:])}
	fmt.Println(last, transfer.Check(tree.Size, tree.Root(), chunk))
	chunk.Data[0] ^= 1
	fmt.Println(transfer.Check(tree.Size, tree.Root(), chunk))
	// Output:
	// 4 <nil>
	// transfer: the chunk does not match the file's hash tree
}

// A stranger chose the name.
func ExampleCleanName() {
	fmt.Println(transfer.CleanName("../../.bashrc"))
	fmt.Println(transfer.CleanName("photo.jpg"))
	// Output:
	// bashrc
	// photo.jpg
}

package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/sremp/sremp/wire"
)

// content returns n bytes that differ from place to place.
func content(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	return b
}

// build returns a file's tree and its groups.
func build(t testing.TB, b []byte) (*Tree, []*Group) {
	t.Helper()
	var leaves [][]byte
	tree, err := Build(t.Context(), bytes.NewReader(b), func(n uint64, l []byte) error {
		if n != uint64(len(leaves)) {
			t.Errorf("group %d came as number %d", n, len(leaves))
		}
		leaves = append(leaves, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var groups []*Group
	for i, l := range leaves {
		g, err := ParseGroup(tree.Size, uint64(i), l)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	return tree, groups
}

func chunk(tree *Tree, groups []*Group, b []byte, i uint64) wire.FileData {
	at := i * wire.FileChunkLen
	return wire.FileData{
		Index: i, Proof: tree.Proof(groups[i/GroupLen], i), Data: b[at : at+uint64(ChunkLen(tree.Size, i))],
	}
}

// Every chunk of files of all shapes is accepted in its place, and nothing else.
func TestTree(t *testing.T) {
	const c = wire.FileChunkLen
	for _, size := range []int{1, 100, c - 1, c, c + 1, 2 * c, 3*c - 7, 4 * c, 5*c + 1, 9 * c} {
		b := content(size)
		tree, groups := build(t, b)
		for i := range Chunks(tree.Size) {
			x := chunk(tree, groups, b, i)
			if err := Check(tree.Size, tree.Root(), x); err != nil {
				t.Errorf("chunk %d of %d bytes: %v", i, size, err)
			}
			for what, change := range map[string]func(*wire.FileData){
				"another place":   func(x *wire.FileData) { x.Index++ },
				"a place far off": func(x *wire.FileData) { x.Index = 1 << 40 },
				"another byte":    func(x *wire.FileData) { x.Data = bytes.Clone(x.Data); x.Data[0] ^= 1 },
				"one byte less":   func(x *wire.FileData) { x.Data = x.Data[:len(x.Data)-1] },
				"a longer proof":  func(x *wire.FileData) { x.Proof = append(x.Proof, Hash{}) },
			} {
				y := x
				change(&y)
				if err := Check(tree.Size, tree.Root(), y); !errors.Is(err, ErrMismatch) {
					t.Errorf("chunk %d of %d bytes, %s: %v, want ErrMismatch", i, size, what, err)
				}
			}
			if len(x.Proof) > 0 {
				y := x
				y.Proof = x.Proof[1:]
				if err := Check(tree.Size, tree.Root(), y); !errors.Is(err, ErrMismatch) {
					t.Errorf("chunk %d of %d bytes, a shorter proof: %v", i, size, err)
				}
			}
			// The size is part of the root: who lies about it has no chunk to show.
			if err := Check(tree.Size+1, tree.Root(), x); !errors.Is(err, ErrMismatch) {
				t.Errorf("chunk %d of %d bytes said to be one more: %v", i, size, err)
			}
		}
	}
}

// top is RFC 9162's definition of the tree, section 2.1.1, word for word.
func top(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return node(top(leaves[:k]), top(leaves[k:]))
}

// Trees of many groups are the same as without groups, and their proofs hold.
func TestGroups(t *testing.T) {
	for _, n := range []int{1, 2, 3, GroupLen - 1, GroupLen, GroupLen + 1, 2 * GroupLen, 3*GroupLen + 17, 5 * GroupLen} {
		leaves := make([]Hash, n)
		for i := range leaves {
			leaves[i] = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		}
		size := uint64(n) * wire.FileChunkLen
		var tops []Hash
		var groups []*Group
		for i := range Groups(size) {
			part := leaves[i*GroupLen : min((i+1)*GroupLen, uint64(n))]
			g, err := ParseGroup(size, i, flat(part))
			if err != nil {
				t.Fatal(err)
			}
			groups, tops = append(groups, g), append(tops, g.Top())
		}
		tree, err := ParseTree(size, tops)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != root(size, top(leaves)) {
			t.Errorf("%d leaves: another root than RFC 9162's", n)
		}
		for i := range leaves {
			proof := tree.Proof(groups[i/GroupLen], uint64(i))
			if len(proof) > wire.MaxFileProof {
				t.Fatalf("a proof of %d hashes", len(proof))
			}
			if err := checkLeaf(size, tree.Root(), uint64(i), leaves[i], proof); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, n, err)
			}
			if err := checkLeaf(size, tree.Root(), uint64(i), Hash{}, proof); err == nil {
				t.Fatalf("a wrong leaf %d of %d was accepted", i, n)
			}
		}
	}
}

func TestEmptyFile(t *testing.T) {
	tree, groups := build(t, nil)
	if len(groups) != 0 || !IsEmpty(tree.Root()) || Chunks(0) != 0 {
		t.Errorf("an empty file has %d groups, empty: %v", len(groups), IsEmpty(tree.Root()))
	}
	if err := Check(0, tree.Root(), wire.FileData{}); !errors.Is(err, ErrMismatch) {
		t.Errorf("a chunk of an empty file: %v, want ErrMismatch", err)
	}
}

// A kept tree that does not belong to the file is refused, not misread.
func TestParseRefusals(t *testing.T) {
	tree, _ := build(t, content(3*wire.FileChunkLen))
	if _, err := ParseGroup(tree.Size, 1, nil); !errors.Is(err, ErrSize) {
		t.Errorf("a group beyond the file: %v", err)
	}
	if _, err := ParseGroup(tree.Size, 0, make([]byte, 64)); !errors.Is(err, ErrSize) {
		t.Errorf("a group that is short: %v", err)
	}
	if _, err := ParseTree(tree.Size, nil); !errors.Is(err, ErrSize) {
		t.Errorf("a tree without tops: %v", err)
	}
}

func TestBuildStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, bytes.NewReader(content(9*wire.FileChunkLen)), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Build after its context ended: %v", err)
	}
	failing := io.MultiReader(bytes.NewReader(content(10)), errReader{})
	if _, err := Build(t.Context(), failing, nil); !errors.Is(err, errBroken) {
		t.Errorf("Build of a disk that fails: %v", err)
	}
}

var errBroken = errors.New("broken")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func FuzzCheck(f *testing.F) {
	b := content(3*wire.FileChunkLen - 5)
	tree, groups := build(f, b)
	proof := bytes.Join(func() (all [][]byte) {
		for _, h := range chunk(tree, groups, b, 2).Proof {
			all = append(all, h[:])
		}
		return all
	}(), nil)
	f.Add(uint64(2), proof, uint32(0), uint32(1<<31)) // the chunk itself
	f.Add(uint64(2), proof, uint32(7), uint32(1<<31))
	f.Add(uint64(1), proof, uint32(0), uint32(100))
	f.Fuzz(func(t *testing.T, index uint64, proof []byte, flip, cut uint32) {
		x := wire.FileData{Index: index, Data: bytes.Clone(b[2*wire.FileChunkLen:])}
		for ; len(proof) >= 32; proof = proof[32:] {
			x.Proof = append(x.Proof, [32]byte(proof))
		}
		x.Data = x.Data[:min(int(cut), len(x.Data))]
		if flip > 0 && len(x.Data) > 0 {
			x.Data[int(flip)%len(x.Data)] ^= byte(flip>>8) | 1
		}
		if Check(tree.Size, tree.Root(), x) != nil {
			return
		}
		at := x.Index * wire.FileChunkLen
		if !bytes.Equal(x.Data, b[at:at+uint64(len(x.Data))]) {
			t.Errorf("chunk %d passed with other bytes than the file's", x.Index)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	data := content(64 * wire.FileChunkLen)
	tree, groups := build(b, data)
	x := chunk(tree, groups, data, 33)
	b.SetBytes(wire.FileChunkLen)
	for b.Loop() {
		if err := Check(tree.Size, tree.Root(), x); err != nil {
			b.Fatal(err)
		}
	}
}

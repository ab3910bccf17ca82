package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sremp/sremp/wire"
)

// Contexts of the tree's hashes (spec §8.14).
const (
	contextLeaf = "SREMP v1 file chunk"
	contextNode = "SREMP v1 file node"
	contextRoot = "SREMP v1 file root"
)

// GroupLen is how many leaves are kept, and read again, together. It is a power
// of two, so that a group is a subtree.
const GroupLen = 1024

// Errors of this package.
var (
	// ErrMismatch: a chunk is not what the root says.
	ErrMismatch = errors.New("transfer: the chunk does not match the file's hash tree")
	// ErrSize: a file has another length than it was said to have.
	ErrSize = errors.New("transfer: the file has another length than before")
)

// A Hash is one node of the tree.
type Hash = [32]byte

// Chunks returns how many chunks a file of size bytes has; none if it is empty.
func Chunks(size uint64) uint64 { return (size + wire.FileChunkLen - 1) / wire.FileChunkLen }

// ChunkLen returns the length of one chunk of a file, which must have it.
func ChunkLen(size, index uint64) int {
	return int(min(wire.FileChunkLen, size-index*wire.FileChunkLen))
}

func leaf(data []byte) Hash {
	h := sha256.New()
	h.Write([]byte(contextLeaf))
	h.Write(data)
	return Hash(h.Sum(nil))
}

func node(left, right Hash) Hash {
	var b [len(contextNode) + 64]byte
	copy(b[:], contextNode)
	copy(b[len(contextNode):], left[:])
	copy(b[len(contextNode)+32:], right[:])
	return sha256.Sum256(b[:])
}

// root binds the size to the top of the tree.
func root(size uint64, top Hash) Hash {
	b := binary.BigEndian.AppendUint64([]byte(contextRoot), size)
	return sha256.Sum256(append(b, top[:]...))
}

// levels returns a tree's nodes: the leaves first, the top last. Nodes pair from
// the left; one without a neighbour moves up as it is (RFC 9162, section 2.1.1).
func levels(leaves []Hash) (out [][]Hash) {
	for level := leaves; ; {
		out = append(out, level)
		if len(level) <= 1 {
			return out
		}
		up := make([]Hash, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, node(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		level = up
	}
}

// appendPath appends the neighbours on the way from a leaf to the top.
func appendPath(path []Hash, levels [][]Hash, index int) []Hash {
	for _, level := range levels[:len(levels)-1] {
		if beside := index ^ 1; beside < len(level) {
			path = append(path, level[beside])
		}
		index /= 2
	}
	return path
}

// A Tree is what a sender keeps in memory of a file: the nodes above groups of
// leaves. It is constant.
type Tree struct {
	Size   uint64
	levels [][]Hash // the lowest are the groups' tops
}

// A Group is the part of the tree below one of its groups. It is constant.
type Group struct {
	number uint64
	levels [][]Hash
}

// Build reads a file to its end. It gives every group's leaves, 32 bytes each, to
// keep, in order; keep must copy them. It returns ErrSize for a file over
// wire.MaxFileSize, and ctx's error.
func Build(ctx context.Context, r io.Reader, keep func(group uint64, leaves []byte) error) (*Tree, error) {
	var tops, group []Hash
	var size uint64
	flush := func() error {
		lv := levels(group)
		if err := keep(uint64(len(tops)), flat(group)); err != nil {
			return err
		}
		tops, group = append(tops, lv[len(lv)-1][0]), group[:0]
		return nil
	}
	buf := make([]byte, wire.FileChunkLen)
	for {
		n, err := io.ReadFull(r, buf)
		if size += uint64(n); size > wire.MaxFileSize {
			return nil, ErrSize
		}
		if n > 0 {
			if group = append(group, leaf(buf[:n])); len(group) == GroupLen {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	if len(group) > 0 {
		if err := flush(); err != nil {
			return nil, err
		}
	}
	return newTree(size, tops), nil
}

func newTree(size uint64, tops []Hash) *Tree {
	if len(tops) == 0 {
		tops = []Hash{leaf(nil)} // of a file without a byte
	}
	return &Tree{Size: size, levels: levels(tops)}
}

func flat(hs []Hash) []byte {
	b := make([]byte, 0, 32*len(hs))
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

// Groups returns how many groups a file of size bytes has.
func Groups(size uint64) uint64 { return (Chunks(size) + GroupLen - 1) / GroupLen }

// ParseGroup makes a group of the leaves that Build gave to keep.
func ParseGroup(size, number uint64, leaves []byte) (*Group, error) {
	n := min(GroupLen, Chunks(size)-number*GroupLen)
	if number >= Groups(size) || uint64(len(leaves)) != 32*n {
		return nil, ErrSize
	}
	hs := make([]Hash, n)
	for i := range hs {
		hs[i] = Hash(leaves[32*i:])
	}
	return &Group{number, levels(hs)}, nil
}

// Top returns the group's highest node.
func (g *Group) Top() Hash { return g.levels[len(g.levels)-1][0] }

// ParseTree makes a tree of its groups' tops, all of them, in order.
func ParseTree(size uint64, tops []Hash) (*Tree, error) {
	if uint64(len(tops)) != Groups(size) {
		return nil, fmt.Errorf("%w (%d groups)", ErrSize, len(tops))
	}
	return newTree(size, tops), nil
}

// Tops returns the groups' highest nodes, 32 bytes each.
func (t *Tree) Tops() []byte {
	if t.Size == 0 {
		return nil
	}
	return flat(t.levels[0])
}

// Root returns what names the content.
func (t *Tree) Root() Hash { return root(t.Size, t.levels[len(t.levels)-1][0]) }

// Proof returns the proof of a chunk, given its group.
func (t *Tree) Proof(g *Group, index uint64) []Hash {
	path := appendPath(nil, g.levels, int(index%GroupLen))
	return appendPath(path, t.levels, int(g.number))
}

// Check returns ErrMismatch unless x is a chunk of the file of that size and
// root, whole and in its place.
func Check(size uint64, want Hash, x wire.FileData) error {
	if x.Index >= Chunks(size) || len(x.Data) != ChunkLen(size, x.Index) {
		return ErrMismatch
	}
	return checkLeaf(size, want, x.Index, leaf(x.Data), x.Proof)
}

func checkLeaf(size uint64, want Hash, index uint64, h Hash, proof []Hash) error {
	n := Chunks(size)
	for i := index; n > 1; i, n = i/2, (n+1)/2 {
		if i^1 >= n {
			continue // no neighbour on this level
		}
		if len(proof) == 0 {
			return ErrMismatch
		}
		if i%2 == 1 {
			h = node(proof[0], h)
		} else {
			h = node(h, proof[0])
		}
		proof = proof[1:]
	}
	if len(proof) > 0 || root(size, h) != want {
		return ErrMismatch
	}
	return nil
}

// IsEmpty reports whether the root is that of a file without a byte, of which no
// chunk is ever sent.
func IsEmpty(want Hash) bool { return want == root(0, leaf(nil)) }

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A liar offers files and sends chunks by mail, by hand.
type liar struct {
	*postman
	dir   string // p.a's downloads, in a folder of its own
	above string // the folder that they are in
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{postman: newPostman(t), above: t.TempDir()}
	l.dir = filepath.Join(l.above, "downloads")
	s := DefaultSettings()
	s.Files.Downloads = l.dir
	if err := l.a.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return l
}

// offer has b offer a file to a.
func (l *liar) offer(x wire.FileOffer) (id MessageID) {
	l.t.Helper()
	l.do(l.b, func(k *core) {
		var err error
		if id, _, err = k.enqueue(l.other(k), wire.PayloadFile, x.Append(nil)); err != nil {
			l.t.Error(err)
		}
	})
	all := l.outbox(l.b)
	if err := l.deliver(l.a, all[len(all)-1]); err != nil {
		l.t.Error(err)
	}
	return id
}

// chunk has b send a chunk to a.
func (l *liar) chunk(x wire.FileChunk) {
	l.t.Helper()
	var msg []byte
	l.do(l.b, func(k *core) {
		var err error
		if msg, err = k.encryptNotice(l.other(k), wire.PayloadFileChunk, x.Append(nil)); err != nil {
			l.t.Error(err)
		}
	})
	if err := l.deliver(l.a, msg); err != nil {
		l.t.Error(err)
	}
}

// file returns a's newest file.
func (l *liar) file() (f File) {
	l.t.Helper()
	fs, err := l.a.Files(l.t.Context(), identity.PeerID{})
	if err != nil || len(fs) == 0 {
		l.t.Fatalf("%v, %v", fs, err)
	}
	return fs[len(fs)-1]
}

// built is a file with its tree.
func built(t *testing.T, content []byte) (x wire.FileOffer, chunk func(i uint64) wire.FileData) {
	t.Helper()
	var groups []*transfer.Group
	var leaves [][]byte
	tree, err := transfer.Build(t.Context(), bytes.NewReader(content), func(_ uint64, l []byte) error {
		leaves = append(leaves, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range leaves {
		g, err := transfer.ParseGroup(tree.Size, uint64(i), l)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	x = wire.FileOffer{Size: tree.Size, Root: tree.Root(), Key: [32]byte{1}, Name: "f.bin"}
	return x, func(i uint64) wire.FileData {
		at := i * wire.FileChunkLen
		return wire.FileData{
			Index: i, Proof: tree.Proof(groups[0], i), Data: content[at : at+uint64(transfer.ChunkLen(tree.Size, i))],
		}
	}
}

// waitState waits for a's newest file, whose last step is a goroutine's.
func (l *liar) waitState(want FileState) (f File) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 3*time.Minute)
	defer cancel()
	events, err := l.a.Subscribe(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	for f = l.file(); f.State != want; f = l.file() {
		if _, ok := <-events; !ok {
			l.t.Fatalf("the file is %+v, want %v", f, want)
		}
	}
	return f
}

// Names cannot leave the folder, nor hide what they are; nothing is overwritten,
// not even through a link (attack 19).
func TestHostileFileNames(t *testing.T) {
	l := newLiar(t)
	content := bytes.Repeat([]byte("x"), 1000)
	offer, chunk := built(t, content)
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(l.above, "outside")
	for path, old := range map[string]string{outside: "mine", filepath.Join(l.dir, "taken.txt"): "mine as well"} {
		if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(l.dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ name, want string }{
		{"../../escape.txt", "escape.txt"},
		{"/etc/passwd", "passwd"},
		{`..\..\boot.ini`, "boot.ini"},
		{".bashrc", "bashrc"},
		{"taken.txt", "taken (1).txt"},
		{"link.txt", "link (1).txt"},
		{"cod\u202etxt.exe", "codtxt.exe"},
		{"\x1b[2Jclear\x07", "[2Jclear"},
		{"CON", "_CON"},
		{strings.Repeat("n", 255), strings.Repeat("n", 180)},
	} {
		offer.Name = x.name
		id := l.offer(offer)
		l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: chunk(0)})
		f := l.waitState(FileDone)
		if f.Path != filepath.Join(l.dir, x.want) {
			t.Errorf("%q became %s, want %s", x.name, f.Path, x.want)
		}
		if b, err := os.ReadFile(f.Path); err != nil || !bytes.Equal(b, content) {
			t.Errorf("%q holds %d bytes, %v", x.name, len(b), err)
		}
		if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q has mode %v, %v; want 0600", x.name, info.Mode(), err)
		}
	}
	for path, want := range map[string]string{outside: "mine", filepath.Join(l.dir, "taken.txt"): "mine as well"} {
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s is now %q, %v", path, b, err)
		}
	}
	entries, err := os.ReadDir(l.above)
	if err != nil || len(entries) != 2 {
		t.Errorf("outside the folder there is %v, %v", entries, err)
	}
}

// Whoever lies about a size or a content gets nothing written, and no memory or
// disk for what it claims.
func TestLyingFiles(t *testing.T) {
	content := make([]byte, 3*wire.FileChunkLen-9)
	for i := range content {
		content[i] = byte(i / 7 % 251)
	}
	offer, chunk := built(t, content)
	for _, x := range []struct {
		name string
		lie  func(o *wire.FileOffer, c *wire.FileData)
	}{
		{"another size", func(o *wire.FileOffer, _ *wire.FileData) { o.Size-- }},
		{"a byte changed", func(_ *wire.FileOffer, c *wire.FileData) { c.Data = bytes.Clone(c.Data); c.Data[5] ^= 1 }},
		{"another place", func(_ *wire.FileOffer, c *wire.FileData) { c.Index = 1 }},
		{"beyond the end", func(_ *wire.FileOffer, c *wire.FileData) { c.Index = 1 << 30 }},
		{"a shorter chunk", func(_ *wire.FileOffer, c *wire.FileData) { c.Data = c.Data[:100] }},
		{"another root", func(o *wire.FileOffer, _ *wire.FileData) { o.Root[0] ^= 1 }},
		{"an empty file with a root of something", func(o *wire.FileOffer, _ *wire.FileData) { o.Size = 0 }},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := newLiar(t)
			o, c := offer, chunk(0)
			x.lie(&o, &c)
			id := l.offer(o)
			l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: c})
			l.do(l.a, func(k *core) { k.startFiles(l.other(k)) })
			if f := l.waitState(FileFailed); f.Done != 0 || f.Problem == "" {
				t.Errorf("the file is %+v, want failed with nothing done", f)
			}
			if entries, err := os.ReadDir(l.dir); err == nil {
				for _, e := range entries {
					if info, err := e.Info(); err != nil || info.Size() > 0 {
						t.Errorf("%s was written, %v", e.Name(), err)
					}
				}
			}
		})
	}

	// A petabyte that is only claimed costs nothing, accepted or not.
	l := newLiar(t)
	o := offer
	o.Size = wire.MaxFileSize
	id := l.offer(o)
	if f := l.file(); f.State != FileOffered {
		t.Errorf("%d bytes were taken without asking: %v", o.Size, f.State)
	}
	l.do(l.a, func(k *core) {
		if err := k.controlFile(l.other(k), l.other(k).fileByID(id), FileAccept); err != nil {
			t.Error(err)
		}
	})
	if entries, err := os.ReadDir(l.dir); err == nil && len(entries) > 0 {
		t.Errorf("space was taken for a claim: %v", entries)
	}
}

// Chunks that nobody agreed to are dropped: of no file, of one that is only
// offered, of a request, of one that was declined; and repeats are not written.
func TestUnaskedChunks(t *testing.T) {
	l := newLiar(t)
	content := bytes.Repeat([]byte("z"), 30_000_000)
	offer, chunk := built(t, content)
	nothing := func(what string) {
		t.Helper()
		if entries, err := os.ReadDir(l.dir); err == nil && len(entries) > 0 {
			t.Errorf("%s: %v was written", what, entries)
		}
	}
	l.chunk(wire.FileChunk{ID: [16]byte{9}, Round: 1, Chunk: chunk(0)})
	nothing("a chunk of no file")
	id := l.offer(offer)
	l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: chunk(0)})
	nothing("a chunk of a file that is only offered")
	control := func(a FileAction) {
		t.Helper()
		l.do(l.a, func(k *core) {
			if err := k.controlFile(l.other(k), l.other(k).fileByID(id), a); err != nil {
				t.Error(err)
			}
		})
	}
	control(FileAccept)
	for range 3 {
		l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: chunk(7)})
	}
	if f := l.file(); f.Done != wire.FileChunkLen {
		t.Errorf("%d bytes of one chunk that came three times", f.Done)
	}
	control(FileCancel)
	l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: chunk(8)})
	awaitIn(t, "the part to go", func() bool {
		entries, err := os.ReadDir(l.dir)
		return err == nil && len(entries) == 0
	})

	// A request's files stay offers, whatever their size.
	l = newLiar(t)
	l.do(l.a, func(k *core) { l.other(k).info.Trust = TrustUnknown })
	small, one := built(t, []byte("tiny"))
	id = l.offer(small)
	l.chunk(wire.FileChunk{ID: id, Round: 1, Chunk: one(0)})
	if f := l.file(); f.State != FileOffered {
		t.Errorf("a stranger's file is %v, want offered", f.State)
	}
	nothing("a stranger's chunk")
	if _, err := l.a.ControlFile(t.Context(), l.file().Contact, id, FileAccept); !errors.Is(err, ErrRequest) {
		t.Errorf("accepting a file of a request: %v, want ErrRequest", err)
	}
}

// awaitIn waits for what a goroutine of the client does last.
func awaitIn(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: it did not come", what)
		}
	}
}

// A preview that is no image, or a bomb, is none; one that is, is ours.
func TestHostilePreviews(t *testing.T) {
	l := newLiar(t)
	var good bytes.Buffer
	if err := png.Encode(&good, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	bomb := slices.Clone(good.Bytes())
	copy(bomb[16:24], "\x00\x00\xff\xff\x00\x00\xff\xff")
	for _, x := range []struct {
		name    string
		preview []byte
		want    bool
	}{
		{"script", []byte("<svg onload='alert(1)'>"), false},
		{"bomb", bomb, false},
		{"program", append([]byte("\x7fELF"), make([]byte, 1000)...), false},
		{"picture", good.Bytes(), true},
	} {
		id := l.offer(wire.FileOffer{Kind: wire.FileImage, Size: 1 << 40, Name: x.name, Preview: x.preview})
		f := l.file()
		b, err := l.a.FilePreview(t.Context(), f.Contact, id)
		if f.Preview != x.want || (err == nil) != x.want || err != nil && !errors.Is(err, ErrNoPreview) {
			t.Errorf("%s: preview %v, %v; want %v", x.name, f.Preview, err, x.want)
		}
		if x.want && (bytes.Contains(b, []byte("PNG")) || !bytes.HasPrefix(b, []byte("\xff\xd8"))) {
			t.Errorf("%s: the preview is not one of our own making", x.name)
		}
	}
}

// What is deleted or disappears takes the offer, the preview, the tree and the
// part of a file with it; a whole file stays, unless the setting says otherwise.
func TestDeletedFiles(t *testing.T) {
	for _, with := range []bool{false, true} {
		l := newLiar(t)
		s, err := l.a.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Files.DeleteWithMessage, s.Files.Accept = with, 1e9
		if err := l.a.SetSettings(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		small, one := built(t, []byte("small"))
		small.Name = "whole.txt"
		whole := l.offer(small)
		l.chunk(wire.FileChunk{ID: whole, Round: 1, Chunk: one(0)})
		path := l.waitState(FileDone).Path
		large, many := built(t, make([]byte, 3*wire.FileChunkLen))
		part := l.offer(large)
		l.chunk(wire.FileChunk{ID: part, Round: 1, Chunk: many(1)})
		l.do(l.a, func(k *core) {}) // what it left for later is done
		if entries, _ := os.ReadDir(l.dir); len(entries) != 2 {
			t.Errorf("the folder has %v, want a file and a part", entries)
		}
		if err := l.a.Delete(t.Context(), l.file().Contact, []MessageID{whole, part}, false); err != nil {
			t.Fatal(err)
		}
		want := 1
		if with {
			want = 0
		}
		awaitIn(t, "what is left in the folder", func() bool {
			entries, err := os.ReadDir(l.dir)
			return err == nil && len(entries) == want
		})
		if _, err := os.Stat(path); (err == nil) == with {
			t.Errorf("deleted with its message: %v, but %v", with, err)
		}
		l.do(l.a, func(k *core) {
			for _, table := range []Table{TableFiles, TableTrees, TablePreviews} {
				if rows, err := k.v.rows(t.Context(), Query{Table: table, Owner: l.other(k).num}); err != nil || len(rows) > 0 {
					t.Errorf("table %d has %d rows, %v", table, len(rows), err)
				}
			}
		})
	}
}

// A readStream is a stream of what was received before.
type readStream struct{ io.Reader }

func (readStream) CancelRead(uint64) {}

// Over a connection, too, only what was asked for is taken: any other chunk ends
// it at once, so that no answer is longer than the question.
func TestHostileStream(t *testing.T) {
	offer, chunk := built(t, bytes.Repeat([]byte("s"), 3*wire.FileChunkLen))
	f, err := os.Create(filepath.Join(t.TempDir(), "part"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	good := wire.AppendFrame(nil, wire.FrameFileChunk, chunk(1).Append(nil))
	changed := slices.Clone(good)
	changed[len(changed)-1] ^= 1
	for name, x := range map[string]struct {
		stream []byte
		want   error
	}{
		"the chunk":        {good, nil},
		"another one":      {wire.AppendFrame(nil, wire.FrameFileChunk, chunk(2).Append(nil)), transfer.ErrMismatch},
		"a changed one":    {changed, transfer.ErrMismatch},
		"another frame":    {wire.AppendFrame(nil, wire.FrameMessage, []byte("x")), transfer.ErrMismatch},
		"a giant frame":    {[]byte{3, 0x11, 0xff, 0xff, 0xff}, transfer.ErrMismatch},
		"half a frame":     {good[:1000], io.ErrUnexpectedEOF},
		"an empty frame":   {wire.AppendFrame(nil, wire.FrameFileChunk, nil), transfer.ErrMismatch},
		"nothing any more": {nil, io.EOF},
	} {
		g := &fetch{row: fileRow{Size: offer.Size, Root: newSecret(offer.Root)}, f: f}
		err := g.take(t.Context(), readStream{bytes.NewReader(x.stream)}, []wire.Range{{First: 1, Last: 1}})
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
		if g.have.Has(1) != (x.want == nil) {
			t.Errorf("%s: counted as %v", name, g.have)
		}
	}
}

// Who did not read the offer gets no chunk: not with another key, not with a token
// of another connection, not for chunks that there are not.
func TestFileToken(t *testing.T) {
	p := newLinked(t)
	var l *link
	awaitIn(t, "a connection", func() bool {
		both := 0
		for _, c := range []*Client{p.a, p.b} {
			p.do(c, func(k *core) {
				for _, o := range k.contacts {
					if o.link != nil && o.session != nil && o.card != nil {
						l, both = o.link, both+1
					}
				}
			})
		}
		return both == 2
	})
	path := filepath.Join(t.TempDir(), "f.bin")
	if err := os.WriteFile(path, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := p.a.SendFile(t.Context(), p.partner(p.a), FileDraft{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var key [32]byte
	p.do(p.a, func(k *core) { key = p.other(k).fileByID(m.ID).Key.bytes() })
	p.do(p.b, func(k *core) { l = p.other(k).link })
	all := []wire.Range{{First: 0, Last: 1}}
	good := fileToken(key, l.conn.Binding())
	for name, x := range map[string]struct {
		get  wire.FileGet
		code int // -1: served
	}{
		"who read the offer":          {wire.FileGet{ID: m.ID, Token: good, Want: all}, -1},
		"another key":                 {wire.FileGet{ID: m.ID, Token: fileToken([32]byte{}, l.conn.Binding()), Want: all}, fileUnknown},
		"another connection":          {wire.FileGet{ID: m.ID, Token: fileToken(key, [32]byte{1}), Want: all}, fileUnknown},
		"another file":                {wire.FileGet{ID: [16]byte{1}, Token: good, Want: all}, fileUnknown},
		"chunks that there are not":   {wire.FileGet{ID: m.ID, Token: good, Want: []wire.Range{{First: 0, Last: 2}}}, fileUnknown},
		"chunks beyond every address": {wire.FileGet{ID: m.ID, Token: good, Want: []wire.Range{{First: 1 << 46, Last: 1 << 46}}}, fileUnknown},
	} {
		got := -1
		s, err := l.conn.OpenStream(t.Context())
		if err == nil {
			err = transport.WriteFrame(s, wire.FrameFileGet, x.get.Append(nil))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s); err != nil {
			if e, ok := errors.AsType[*transport.StreamError](err); ok {
				got = int(e.Code)
			} else {
				t.Fatal(err)
			}
		}
		if got != x.code {
			t.Errorf("%s: code %d, want %d", name, got, x.code)
		}
	}
}

// partner returns the only contact of c.
func (p *postman) partner(c *Client) (id identity.PeerID) {
	p.do(c, func(k *core) { id = p.other(k).info.ID })
	return id
}

// Files' secrets do not print (attack 24).
func TestFileSecretsDoNotPrint(t *testing.T) {
	row := fileRow{Name: "f", Key: newSecret([32]byte{0xab, 0xcd}), Root: newSecret([32]byte{0xab, 0xcd})}
	f := &file{fileRow: row, run: &fileRun{}}
	for _, s := range []string{fmt.Sprint(row), fmt.Sprintf("%+v %#v", row, row), fmt.Sprintf("%+v", f), fmt.Sprintf("%q", []any{row})} {
		if strings.Contains(strings.ToLower(s), "abcd") || strings.Contains(s, "171 205") {
			t.Errorf("a key prints: %.200s", s)
		}
	}
}

// Whatever a stream has: a piece fits its buffer.
func FuzzReadPiece(f *testing.F) {
	f.Add(wire.AppendFrame(nil, wire.FrameFileChunk, []byte("a chunk")))
	f.Add(wire.AppendFrame(nil, wire.FrameMessage, []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		buf := make([]byte, 64)
		got, err := readPiece(bytes.NewReader(b), buf)
		if err == nil && (len(got) > len(buf) || !bytes.Equal(got, b[wire.FrameHeaderLen:][:len(got)])) {
			t.Errorf("%x of %x", got, b)
		}
	})
}

package client

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// resetEvery bounds what one fuzzing process remembers of what it was sent.
const resetEvery = 500

// A lasting test is one whose cleanups wait for close, not for the run's end.
type lasting struct {
	testing.TB
	cleanups *[]func()
}

func (lasting) Context() context.Context { return context.Background() }
func (l lasting) Cleanup(f func())       { *l.cleanups = append(*l.cleanups, f) }
func (l lasting) close() {
	for _, f := range *l.cleanups {
		f()
	}
}

// fuzzPair returns two contacts for a fuzz target and how a run sees them: it
// begins anew now and then.
func fuzzPair(f *testing.F) func(t *testing.T) *postman {
	f.Helper()
	var p *postman
	last := lasting{f, new([]func())}
	f.Cleanup(func() { last.close() })
	runs := 0
	return func(t *testing.T) *postman {
		if runs%resetEvery == 0 {
			last.close()
			last = lasting{t, new([]func())}
			p = newPostman(last)
		}
		runs++
		q := *p
		q.t = t
		return &q
	}
}

// Whatever a contact seals for us: we have the same contacts as before, none more
// trusted, and its conversation can be read.
func FuzzPayload(f *testing.F) {
	card := wire.Card{}.Append(nil)
	for _, x := range []struct {
		typ     wire.PayloadType
		counter uint64
		body    []byte
	}{
		{wire.PayloadText, 3, []byte("\u202eolleh\x1b[2J")},
		{wire.PayloadText, 1 << 62, []byte("of the future")},
		{wire.PayloadCard, 3, card},
		{wire.PayloadEdit, 3, wire.Edit{Text: []byte("x")}.Append(nil)},
		{wire.PayloadDelete, 3, wire.Deletion{IDs: [][16]byte{{1}}}.Append(nil)},
		{wire.PayloadReaction, 3, wire.Reaction{Emoji: []byte("+")}.Append(nil)},
		{wire.PayloadTimer, 3, wire.Timer{Seconds: 1}.Append(nil)},
		{wire.PayloadSuccessor, 3, []byte("x")},
		{wire.PayloadPicture, 3, wire.Picture{Version: 1, Image: asPNG(f, squareImage(f, 2, 7))}.Append(nil)},
		{wire.PayloadFile, 3, []byte("x")},
		{wire.PayloadFileState, 3, []byte("x")},
		{wire.PayloadAck, 0, []byte("x")},
		{wire.PayloadRead, 0, []byte("x")},
		{wire.PayloadTyping, 0, []byte("x")},
		{wire.PayloadFileChunk, 0, []byte("x")},
	} {
		f.Add(uint8(x.typ), uint8(1), uint32(0), x.counter, uint64(1), x.body, []byte(nil))
	}
	f.Add(uint8(wire.PayloadText), uint8(2), uint32(1), uint64(1), uint64(1)<<60, []byte("x"), wire.AppendExtensions(nil, []wire.Extension{
		{Type: wire.ExtensionReply, Data: make([]byte, 16)}, {Type: wire.ExtensionTimer, Data: wire.Timer{Seconds: 1}.Append(nil)}})[2:])
	pair := fuzzPair(f)
	f.Fuzz(func(t *testing.T, typ, id uint8, epoch uint32, counter, sent uint64, body, extensions []byte) {
		p := pair(t)
		x := wire.Payload{Type: wire.PayloadType(typ), ID: [16]byte{id}, Epoch: epoch, Counter: counter, SentAt: sent, Body: body}
		if x.Type.Numbered() && counter == 0 || len(body)+len(extensions) > wire.MaxPayloadBody {
			return
		}
		if !x.Type.Numbered() {
			x.Counter = 0
		}
		r := wire.NewReader(wire.AppendVec16(nil, extensions))
		if x.Extensions = r.Extensions(); r.Done() != nil {
			x.Extensions = nil
		}
		var who identity.PeerID
		p.do(p.a, func(k *core) {
			c := p.other(k)
			who, x.Conversation = c.info.ID, c.conversation
			k.plaintext(c, x.Append(nil))
			if got := p.other(k); got != c || c.info.Trust != Trusted || !c.info.Verified.IsZero() {
				t.Errorf("the contact is now %+v", got.info)
			}
		})
		p.do(p.a, func(k *core) { k.tick() })
		for _, m := range must(p.a.History(t.Context(), who, HistoryQuery{Limit: 50})) {
			if len(m.Text) > wire.MaxText || m.Contact != who {
				t.Errorf("a message of %v with %d bytes", m.Contact, len(m.Text))
			}
		}
	})
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// Whatever comes on a connection, into a mailbox or with an introduction: nobody
// becomes a contact by it, and nothing is shown.
func FuzzIncoming(f *testing.F) {
	p := newPostman(f)
	msg := p.send(p.b, "hello")[0]
	var box wire.PrekeyBox
	var knock []byte
	p.do(p.a, func(k *core) {
		box = k.prekeyBox()
		knock = must(sealKnock(box.KnockKey, wire.Knock{Message: msg}))
	})
	for _, typ := range []uint16{wire.FrameMessage, wire.FrameFirst, wire.FrameBundle} {
		f.Add(typ, msg)
	}
	f.Add(uint16(wire.FrameFirst), wire.Knock{Message: msg}.Append(nil))
	f.Add(uint16(wire.FrameBundle), box.Append(nil))
	f.Add(uint16(0), knock)
	f.Add(uint16(1), wire.Offer{}.Append(nil))
	pair := fuzzPair(f)
	f.Fuzz(func(t *testing.T, typ uint16, b []byte) {
		p := pair(t)
		who := identity.PeerID{9}
		var before, after int
		p.do(p.a, func(k *core) {
			c := p.other(k)
			before = int(c.flow.NextSeq)
			switch typ {
			case wire.FrameMessage, wire.FrameFirst, wire.FrameBundle:
				l := &link{peer: c.info.ID}
				k.frame(l, typ, b)
				l.peer = who
				k.frame(l, typ, b)
			case 0:
				if x, err := k.openKnock(b); err == nil {
					k.knock(identity.PeerID{}, x)
				}
				if x, err := wire.ParseKnock(b); err == nil {
					k.knock(identity.PeerID{}, x)
				}
			default:
				if _, _, _, _, ok := k.c.net.openOffer(b); ok {
					t.Error("an offer was opened that nobody sealed")
				}
				if _, err := openPrekeys(who, [32]byte{1}, b, b); err == nil {
					t.Error("prekeys were opened that nobody sealed")
				}
			}
			after = int(p.other(k).flow.NextSeq)
		})
		if before != after {
			t.Errorf("%d rows were added to the conversation", after-before)
		}
	})
}

// Rows and headers as they stand in a database or a backup: what is read is
// written again as it was, damage is an error.
func FuzzStored(f *testing.F) {
	m := storedMessage{id: MessageID{1}, counter: 2, sent: time.Unix(1_800_000_000, 0).UTC(), text: "x", reply: MessageID{3}, file: &fileInfo{size: 7}}
	f.Add(m.append(nil))
	f.Add(storedMessage{mine: true, text: "plain"}.append(nil))
	f.Add(appendHolders([]holder{{holdsKit, []byte("a")}, {holdsKeyring, []byte("b")}}))
	f.Add(waitingMessage{payload: wire.Payload{Type: wire.PayloadText, Counter: 1}}.append(nil))
	f.Add(fileInfo{kind: FileVoice, size: 1, duration: 2, preview: true}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseStored(b); err == nil {
			if again, err := parseStored(m.append(nil)); err != nil || again.text != m.text || again.id != m.id || again.reply != m.reply {
				t.Errorf("%+v becomes %+v, %v", m, again, err)
			}
		}
		if m, err := parseWaiting(b); err == nil {
			if again, err := parseWaiting(m.append(nil)); err != nil || !bytes.Equal(again.payload.Append(nil), m.payload.Append(nil)) {
				t.Errorf("%+v becomes %+v, %v", m, again, err)
			}
		}
		if hs, err := parseHolders(b); err == nil && len(b) > 0 && b[0] == headerHolders && !bytes.Equal(appendHolders(hs), b) {
			t.Errorf("header %x becomes %x", b, appendHolders(hs))
		}
		if i := parseFileInfo(b); i != nil && !bytes.Equal(i.append(nil), b) {
			t.Errorf("file %x becomes %x", b, i.append(nil))
		}
		for _, x := range []interface{ UnmarshalText([]byte) error }{
			new(Span), new(Size), new(MessageID), new(DeliveryState), new(PathKind), new(TrustState), new(FileKind), new(FileState), new(digest), new(secret), new(hidden),
		} {
			_ = x.UnmarshalText(b) // an error or a value, no panic
		}
	})
}

// A backup that somebody changed, or made: an error, and never a profile.
func FuzzBackup(f *testing.F) {
	p := &postman{t: f, clock: &testClock{}, logs: &lockedBuffer{}}
	a := p.open("Alice")
	path := filepath.Join(f.TempDir(), "backup")
	if err := a.Backup(f.Context(), path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(backupMagic)], uint32(0))
	f.Add(good[:300], uint32(0))
	f.Add([]byte(nil), uint32(len(good)-1))
	f.Add([]byte("x"), uint32(400))
	f.Fuzz(func(t *testing.T, head []byte, flip uint32) {
		b := append(bytes.Clone(head), good[min(len(head), len(good)):]...)
		if int(flip) < len(b) {
			b[flip] ^= 1
		}
		if bytes.Equal(b, good) {
			return
		}
		if header, n, err := readBackupHeader(bytes.NewReader(b)); err == nil && int(n) != len(backupMagic)+2+len(header) {
			t.Errorf("a header of %d bytes takes %d", len(header), n)
		}
		s := newMemStore()
		out, err := Restore(t.Context(), Config{Store: s}, bytes.NewReader(b))
		if err == nil && out.Damaged && bytes.HasPrefix(b, good) { // all of it, and something behind
			return
		}
		if err == nil {
			t.Error("a changed backup was restored")
		}
		if s.header != nil {
			t.Error("a profile stands there")
		}
	})
}

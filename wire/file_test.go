package wire

import (
	"bytes"
	"errors"
	"testing"
)

func fileVectors() []vector {
	ext := []Extension{{Type: 9, Data: []byte("x")}}
	id, key := filled[[16]byte](1), filled[[32]byte](2)
	data := FileData{Index: 3, Proof: [][32]byte{key, filled[[32]byte](4)}, Data: []byte("chunk")}
	return []vector{
		{"offer", FileOffer{FileImage, 5, key, filled[[32]byte](3), 0, "a.jpg", []byte("p"), ext}.Append(nil), again(ParseFileOffer)},
		{"offer-voice", FileOffer{Kind: FileVoice, Size: MaxFileSize, Duration: 1500, Name: "v"}.Append(nil), again(ParseFileOffer)},
		{"state", FileState{id, FileWanted, 2, []Range{{0, 1}, {3, 3}}, ext}.Append(nil), again(ParseFileState)},
		{"state-empty", FileState{ID: id, What: FileDeclined}.Append(nil), again(ParseFileState)},
		{"get", FileGet{id, key, []Range{{0, 9}, {11, 12}}}.Append(nil), again(ParseFileGet)},
		{"data", data.Append(nil), again(ParseFileData)},
		{"chunk", FileChunk{id, 7, data}.Append(nil), again(ParseFileChunk)},
	}
}

func TestFileVectors(t *testing.T) { checkVectors(t, "file", fileVectors()) }

func FuzzFile(f *testing.F) { fuzzVectors(f, fileVectors()) }

// The largest chunk, with the longest proof, fits a payload and a frame.
func TestLargestChunkFits(t *testing.T) {
	data := FileData{Index: 1, Proof: make([][32]byte, MaxFileProof), Data: make([]byte, FileChunkLen)}
	if n := len(data.Append(nil)); n != MaxFileData || n > MaxMessageFrame {
		t.Errorf("a chunk has %d bytes, want %d and at most %d", n, MaxFileData, MaxMessageFrame)
	}
	p := Payload{Type: PayloadFileChunk, Body: FileChunk{Chunk: data}.Append(nil)}
	if n := len(p.Append(nil)); n != 262144 {
		t.Errorf("its payload has %d bytes, want 262144", n)
	}
}

func TestFileRefusals(t *testing.T) {
	good := FileOffer{Size: 1, Name: "n"}
	for name, x := range map[string]struct {
		b     []byte
		parse func([]byte) error
		want  error
	}{
		"offer of an unknown kind": {FileOffer{Kind: 3, Name: "n"}.Append(nil), offerError, ErrNotCanonical},
		"offer over the size":      {FileOffer{Size: MaxFileSize + 1, Name: "n"}.Append(nil), offerError, ErrTooLarge},
		"offer without a name":     {append(good.Append(nil)[:77], 0, 0, 0, 0, 0), offerError, ErrNotCanonical},
		"unknown state":            {FileState{What: 8}.Append(nil), stateError, ErrNotCanonical},
		"ranges that touch":        {FileState{What: 1, Have: []Range{{0, 1}, {2, 3}}}.Append(nil), stateError, ErrNotCanonical},
		"ranges reversed":          {FileState{What: 1, Have: []Range{{3, 1}}}.Append(nil), stateError, ErrNotCanonical},
		"ranges beyond any file":   {FileState{What: 1, Have: []Range{{0, MaxFileSize + 1}}}.Append(nil), stateError, ErrNotCanonical},
		"asking for nothing":       {FileGet{}.Append(nil), getError, ErrNotCanonical},
		"a proof without end":      {append(make([]byte, 8), bytes.Repeat([]byte{200}, 7000)...), dataError, ErrTooLarge},
		"an empty chunk":           {FileData{}.Append(nil), dataError, ErrNotCanonical},
	} {
		if err := x.parse(x.b); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
}

func offerError(b []byte) error { _, err := ParseFileOffer(b); return err }
func stateError(b []byte) error { _, err := ParseFileState(b); return err }
func getError(b []byte) error   { _, err := ParseFileGet(b); return err }
func dataError(b []byte) error  { _, err := ParseFileData(b); return err }

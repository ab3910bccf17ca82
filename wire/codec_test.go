package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt; commit it only if the spec changed")

// A vector is one structure with its decoder, which re-encodes what it parsed.
// Each area's test file lists its own and hands them to [checkVectors].
type vector struct {
	name  string
	bytes []byte
	again func([]byte) ([]byte, error)
}

// again adapts a decoder and its structure's Append to [vector.again].
func again[T interface{ Append([]byte) []byte }](parse func([]byte) (T, error)) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		x, err := parse(b)
		if err != nil {
			return nil, err
		}
		return x.Append(nil), nil
	}
}

// checkVectors pins the bytes in testdata/<area>.txt, parses them back, cuts
// each at every byte, and lengthens it by one.
func checkVectors(t *testing.T, area string, vs []vector) {
	t.Helper()
	var got strings.Builder
	for _, v := range vs {
		fmt.Fprintf(&got, "%s %x\n", v.name, v.bytes)
	}
	file := "testdata/" + area + ".txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("encodings differ from %s:\n%s", file, got.String())
	}
	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		_, hexStr, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(hexStr)
		if err != nil {
			t.Fatal(err)
		}
		v := vs[i]
		enc, err := v.again(b)
		if err != nil || !bytes.Equal(enc, b) {
			t.Errorf("%s: parsed and encoded again = %x, %v", v.name, enc, err)
		}
		for n := range b {
			if _, err := v.again(b[:n]); err == nil {
				t.Errorf("%s[:%d] accepted", v.name, n)
			}
		}
		if _, err := v.again(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s with a byte after its end accepted", v.name)
		}
	}
}

// fuzzVectors fuzzes all decoders of an area: what one accepts, its encoder
// reproduces. The first byte of the input picks the decoder.
func fuzzVectors(f *testing.F, vs []vector) {
	for i, v := range vs {
		f.Add(uint8(i), v.bytes)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		v := vs[int(which)%len(vs)]
		enc, err := v.again(data)
		if err == nil && !bytes.Equal(enc, data) {
			t.Errorf("%s: Append(Parse(x)) = %x, want %x", v.name, enc, data)
		}
	})
}

func TestReaderErrorsStick(t *testing.T) {
	r := NewReader([]byte{1, 2, 3})
	if got := r.Uint16(); got != 0x0102 {
		t.Errorf("Uint16 = %#x, want 0x0102", got)
	}
	if got := r.Uint32(); got != 0 || !errors.Is(r.Err(), ErrTruncated) {
		t.Errorf("Uint32 past the end = %d, %v", got, r.Err())
	}
	if got := r.Uint8(); got != 0 || !errors.Is(r.Done(), ErrTruncated) {
		t.Errorf("after an error: %d, %v", got, r.Done())
	}
	if err := NewReader([]byte{0}).Done(); !errors.Is(err, ErrTrailing) {
		t.Errorf("Done with a byte left = %v, want ErrTrailing", err)
	}
}

func TestVectorLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		read func(*Reader) []byte
		in   []byte
		want error
	}{
		{"over max", func(r *Reader) []byte { return r.Vec8(0, 1) }, []byte{2, 0, 0}, ErrTooLarge},
		{"under min", func(r *Reader) []byte { return r.Vec16(1, 9) }, []byte{0, 0}, ErrNotCanonical},
		{"cut", func(r *Reader) []byte { return r.Vec24(0, 9) }, []byte{0, 0, 2, 0}, ErrTruncated},
		{"cut length", func(r *Reader) []byte { return r.Vec24(0, 9) }, []byte{0, 0}, ErrTruncated},
	} {
		r := NewReader(tt.in)
		if v := tt.read(r); v != nil || !errors.Is(r.Err(), tt.want) {
			t.Errorf("%s: %x, %v; want nil, %v", tt.name, v, r.Err(), tt.want)
		}
	}
}

func TestExtensionsCanonical(t *testing.T) {
	exts := []Extension{{1, []byte("a")}, {7, nil}}
	b := AppendExtensions(nil, exts)
	r := NewReader(b)
	got := r.Extensions()
	if err := r.Done(); err != nil || len(got) != 2 || got[1].Type != 7 || !bytes.Equal(AppendExtensions(nil, got), b) {
		t.Errorf("Extensions = %v, %v", got, err)
	}
	for _, bad := range []string{"0008000200000001" + "0000", "000800010000" + "00010000", "00030001" + "00"} {
		in, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(in)
		r.Extensions()
		if r.Done() == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

func TestFrameHeader(t *testing.T) {
	b := AppendFrame(nil, 0x1234, make([]byte, 0x010203))
	typ, n := ParseFrameHeader([FrameHeaderLen]byte(b))
	if typ != 0x1234 || n != 0x010203 || len(b) != FrameHeaderLen+n {
		t.Errorf("header = %#x, %#x of %d bytes", typ, n, len(b))
	}
}

package wire

import "encoding/binary"

// Payloads and frames of files (spec §8.14).
const (
	PayloadFile      PayloadType = 0x10 // FileOffer: a message of its own
	PayloadFileState PayloadType = 0x11 // FileState
	PayloadFileChunk PayloadType = 0x90 // FileChunk, unnumbered: nobody acknowledges one

	FrameFileGet   = 0x0310 // FileGet: the first frame of a stream of its own
	FrameFileChunk = 0x0311 // FileData: its answer, one frame a chunk
)

// Limits of files (spec §8.14).
const (
	// FileChunkLen is the length of every chunk but the last: the most pages with
	// which a chunk and its proof fit the largest payload.
	FileChunkLen   = 252 << 10
	MaxFileSize    = 1 << 47
	MaxFileName    = 255
	MaxFilePreview = 30 << 10
	MaxFileProof   = 30 // hashes: no more than a file of MaxFileSize needs
	MaxFileRanges  = 64
	// MaxFileData is the longest encoding of a FileData.
	MaxFileData = 8 + 1 + 32*MaxFileProof + 3 + FileChunkLen
)

// Kinds of files.
const (
	FilePlain = 0
	FileImage = 1
	FileVoice = 2 // a voice note
)

// A FileOffer names a file that the reader may have.
//
//	struct {
//	    uint8 kind;
//	    uint64 size;
//	    opaque root[32];             // of the hash tree
//	    opaque key[32];              // for FileGet's token
//	    uint32 duration;             // of a voice note, milliseconds; else 0
//	    opaque name<1..255>;         // UTF-8
//	    opaque preview<0..30720>;    // of an image: a small JPEG
//	    Extension extensions<0..2^15>;
//	} FileOffer;
type FileOffer struct {
	Kind       uint8
	Size       uint64
	Root, Key  [32]byte
	Duration   uint32
	Name       string
	Preview    []byte
	Extensions []Extension
}

// Append appends the offer.
func (x FileOffer) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, x.Kind), x.Size)
	b = append(append(b, x.Root[:]...), x.Key[:]...)
	b = binary.BigEndian.AppendUint32(b, x.Duration)
	b = AppendVec16(AppendVec8(b, []byte(x.Name)), x.Preview)
	return AppendExtensions(b, x.Extensions)
}

// ParseFileOffer decodes an offer; name and preview are not looked into.
func ParseFileOffer(b []byte) (FileOffer, error) {
	r := NewReader(b)
	x := FileOffer{
		Kind: r.Uint8(), Size: r.Uint64(), Root: r.Array32(), Key: r.Array32(), Duration: r.Uint32(),
		Name: string(r.Vec8(1, MaxFileName)), Preview: r.Vec16(0, MaxFilePreview), Extensions: r.Extensions(),
	}
	if x.Kind > FileVoice {
		r.Fail(ErrNotCanonical)
	}
	if x.Size > MaxFileSize {
		r.Fail(ErrTooLarge)
	}
	return done(r, x)
}

// What a FileState says: of its reader's offer, or of its own.
const (
	FileWanted    = 1 // of the reader's offer: send what is not in Have
	FilePaused    = 2 // of either: not now
	FileDeclined  = 3 // of the reader's offer
	FileComplete  = 4 // of the reader's offer
	FileWithdrawn = 5 // of one's own
	FileReady     = 6 // of one's own: no longer paused
	FileFailed    = 7 // of either: what is there is not what was offered
)

// A FileState tells the other side how a file's transfer stands.
//
//	struct {
//	    opaque id[16];                       // of the offer's message
//	    uint8 what;
//	    uint32 round;                        // newest round of chunks by mail (FileChunk) that was seen; 0: none
//	    uint8 count; Range have[count];      // chunks, ascending and apart; at most 64
//	    Extension extensions<0..2^15>;
//	} FileState;
type FileState struct {
	ID         [16]byte
	What       uint8
	Round      uint32
	Have       []Range
	Extensions []Extension
}

// Append appends the state.
func (x FileState) Append(b []byte) []byte {
	b = append(append(b, x.ID[:]...), x.What)
	b = binary.BigEndian.AppendUint32(b, x.Round)
	return AppendExtensions(appendRanges(b, x.Have), x.Extensions)
}

// ParseFileState decodes a state.
func ParseFileState(b []byte) (FileState, error) {
	r := NewReader(b)
	x := FileState{ID: r.Array16(), What: r.Uint8(), Round: r.Uint32(), Have: r.ranges(), Extensions: r.Extensions()}
	if x.What < FileWanted || x.What > FileFailed {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A FileGet asks, on a stream of its own, for chunks of an offered file.
//
//	struct {
//	    opaque id[16];
//	    opaque token[32];                    // shows the offer's key, on this connection only
//	    uint8 count; Range want[count];      // chunks, ascending and apart; 1 to 64
//	} FileGet;
type FileGet struct {
	ID    [16]byte
	Token [32]byte
	Want  []Range
}

// Append appends the question.
func (x FileGet) Append(b []byte) []byte {
	return appendRanges(append(append(b, x.ID[:]...), x.Token[:]...), x.Want)
}

// ParseFileGet decodes a question.
func ParseFileGet(b []byte) (FileGet, error) {
	r := NewReader(b)
	x := FileGet{ID: r.Array16(), Token: r.Array32(), Want: r.ranges()}
	if r.Err() == nil && len(x.Want) == 0 {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A FileData is one chunk with its proof: the hashes beside the way from its
// leaf to the top of the tree, the lowest first.
//
//	struct {
//	    uint64 index;
//	    uint8 count; opaque proof[count][32];   // at most 30
//	    opaque data<1..258048>;                 // a 24-bit length
//	} FileData;
type FileData struct {
	Index uint64
	Proof [][32]byte
	Data  []byte
}

// AppendHeader appends all but the data, of which only the length counts.
func (x FileData) AppendHeader(b []byte) []byte {
	if len(x.Proof) > MaxFileProof || len(x.Data) > FileChunkLen {
		panic("wire: chunk over its limits")
	}
	b = append(binary.BigEndian.AppendUint64(b, x.Index), byte(len(x.Proof)))
	for _, h := range x.Proof {
		b = append(b, h[:]...)
	}
	n := len(x.Data)
	return append(b, byte(n>>16), byte(n>>8), byte(n))
}

// Append appends the chunk.
func (x FileData) Append(b []byte) []byte { return append(x.AppendHeader(b), x.Data...) }

// ParseFileData decodes a chunk; Data is a part of b.
func ParseFileData(b []byte) (FileData, error) {
	r := NewReader(b)
	x := r.fileData()
	return done(r, x)
}

func (r *Reader) fileData() FileData {
	x := FileData{Index: r.Uint64()}
	n := int(r.Uint8())
	if n > MaxFileProof {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Proof = append(x.Proof, r.Array32())
	}
	x.Data = r.Vec24(1, FileChunkLen)
	return x
}

// A FileChunk is a chunk that travels through mailboxes.
//
//	struct { opaque id[16]; uint32 round; FileData data; } FileChunk;
type FileChunk struct {
	ID    [16]byte
	Round uint32 // of chunks by mail, from 1
	Chunk FileData
}

// Append appends the chunk.
func (x FileChunk) Append(b []byte) []byte {
	return x.Chunk.Append(binary.BigEndian.AppendUint32(append(b, x.ID[:]...), x.Round))
}

// ParseFileChunk decodes a chunk; its data is a part of b.
func ParseFileChunk(b []byte) (FileChunk, error) {
	r := NewReader(b)
	x := FileChunk{ID: r.Array16(), Round: r.Uint32(), Chunk: r.fileData()}
	return done(r, x)
}

// appendRanges appends a counted list of ranges.
func appendRanges(b []byte, ranges []Range) []byte {
	if len(ranges) > MaxFileRanges {
		panic("wire: too many ranges of chunks")
	}
	b = append(b, byte(len(ranges)))
	for _, g := range ranges {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, g.First), g.Last)
	}
	return b
}

// ranges takes ranges of chunks, ascending and apart by at least one.
func (r *Reader) ranges() (out []Range) {
	n := int(r.Uint8())
	if n > MaxFileRanges {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		g := Range{r.Uint64(), r.Uint64()}
		if r.Err() == nil && (g.Last < g.First || g.Last > MaxFileSize || i > 0 && g.First <= out[i-1].Last+1) {
			r.Fail(ErrNotCanonical)
		}
		out = append(out, g)
	}
	return out
}

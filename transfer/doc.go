// Package transfer is the part of sending files that touches neither disk nor
// network: the hash tree by which every chunk is checked alone, sets of chunks,
// names that can do no harm, and previews of images (docs/spec/80-client.md,
// section 8.14).
//
//	file  -> chunks of wire.FileChunkLen bytes -> leaves -> groups of 1024 -> root
//	chunk + proof + root -> Check
package transfer

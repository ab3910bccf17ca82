// Package archtest holds the tests of the architecture itself: who may import
// whom, where C may be, and what the pure packages must not touch
// (docs/architecture.md). It has no code besides its tests.
package archtest

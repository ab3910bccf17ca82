module github.com/sremp/sremp/bench/peers

go 1.26.0

require (
	github.com/sremp/sremp v0.0.0
	go.mau.fi/libsignal v0.2.1
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/dchest/siphash v1.2.3 // indirect
	github.com/tyler-smith/go-bip39 v1.1.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/protobuf v1.36.10 // indirect
)

replace github.com/sremp/sremp => ../..

package websocket

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/domains"
)

func TestDomainsOfProof(t *testing.T) {
	key, err := identity.NewServerKey(bytes.Repeat([]byte{1}, 32))
	check(t, err)
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	conn, err := tls.Dial("tcp", web.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer conn.Close()
	state := conn.ConnectionState()
	exported := func(c string) []byte {
		b, err := state.ExportKeyingMaterial(c, nil, 32)
		check(t, err)
		return b
	}
	takes := func(sig [64]byte) bool {
		return proven(key.ID(), &http.Response{TLS: &state, Header: http.Header{proofHeader: {base64.StdEncoding.EncodeToString(sig[:])}}})
	}
	domains.Row(t, contextProof, func(c string) bool { return takes(key.Sign(c, exported(exporterProof))) })
	domains.Row(t, exporterProof, func(c string) bool { return takes(key.Sign(contextProof, exported(c))) })
}

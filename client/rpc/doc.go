// Package rpc carries [client.API] over a local socket, so that other programs
// use a client that runs already instead of opening the profile a second time.
//
// The protocol is JSON-RPC 2.0, one object a line. Methods have the names of
// the API's in lower case with underscores, and one object as parameters:
//
//	→ {"jsonrpc":"2.0","id":1,"method":"send","params":{"to":"…","text":"hello"}}
//	← {"jsonrpc":"2.0","id":1,"result":{"id":"…","state":"queued",…}}
//	← {"jsonrpc":"2.0","id":2,"error":{"code":8,"message":"no such contact; …"}}
//
// subscribe takes a number of the caller's choice; events then come as
// notifications until unsubscribe, or until one with "end":true:
//
//	→ {"jsonrpc":"2.0","id":3,"method":"subscribe","params":{"subscription":1}}
//	← {"jsonrpc":"2.0","method":"event","params":{"subscription":1,"kind":"delivery","data":{…}}}
//
// The notification cancel, with the id of a request, ends that request's
// context. The socket is in the profile's directory with mode 0600: whoever can
// open it may do what the owner may (docs/spec/80-client.md).
package rpc

package rpc

import (
	"encoding"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

var update = flag.Bool("update", false, "write docs/rpc.schema.json")

const schemaFile = "../../docs/rpc.schema.json"

// A schemer describes Go types in JSON Schema (2020-12), as encoding/json
// writes them.
type schemer struct{ defs map[string]any }

type object = map[string]any

var (
	textType  = reflect.TypeFor[encoding.TextMarshaler]()
	timeType  = reflect.TypeFor[time.Time]()
	spanType  = reflect.TypeFor[time.Duration]()
	eventType = reflect.TypeFor[client.Event]()
)

// enums are the texts that a type has.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[client.DeliveryState](): {"queued", "held", "delivered", "read"},
	reflect.TypeFor[client.PathKind]():      {"none", "direct", "relay", "mailbox"},
	reflect.TypeFor[client.TrustState]():    {"unknown", "trusted", "rejected"},
	reflect.TypeFor[client.FileKind]():      {"file", "image", "voice"},
	reflect.TypeFor[client.FileAction]():    {"accept", "pause", "resume", "cancel"},
	reflect.TypeFor[client.FileState](): {
		"offered", "waiting", "moving", "paused", "done", "declined", "withdrawn", "failed",
	},
	reflect.TypeFor[client.NotificationKind](): {
		"message", "mention", "reaction", "request", "keys", "successor", "copy", "server",
	},
}

func (s *schemer) of(t reflect.Type) any {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == spanType:
		return object{"type": "integer", "description": "nanoseconds"}
	case enums[t] != nil:
		return object{"type": "string", "enum": enums[t]}
	case t.Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Struct:
		return s.object(t)
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	}
	panic("no schema for " + t.String())
}

// object describes a structure; those of package client stand in $defs.
func (s *schemer) object(t reflect.Type) any {
	named := strings.HasSuffix(t.PkgPath(), "/client")
	if _, done := s.defs[t.Name()]; named && done {
		return object{"$ref": "#/$defs/" + t.Name()}
	}
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic(t.String() + "." + f.Name + " has no name in JSON")
		}
		properties[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") && f.Type.Kind() != reflect.Pointer {
			required = append(required, name)
		}
	}
	o := object{"type": "object", "properties": properties, "required": required}
	if !named {
		return o
	}
	s.defs[t.Name()] = o
	return object{"$ref": "#/$defs/" + t.Name()}
}

func schema() []byte {
	s := &schemer{defs: object{}}
	ms, es := object{}, object{}
	subscription := s.of(reflect.TypeFor[subscribeParams]())
	ms["subscribe"] = object{
		"description": "Events follow as notifications \"event\" with the number of the caller's choice, until unsubscribe.",
		"params":      subscription, "result": object{"type": "null"},
	}
	ms["unsubscribe"] = object{"description": "Ends a subscription.", "params": subscription, "result": object{"type": "null"}}
	for name, m := range methods {
		result := any(object{"type": "null"})
		if m.result != nil && m.result.Kind() != reflect.Interface {
			result = s.of(m.result)
		}
		ms[name] = object{"description": m.doc, "params": s.of(m.params), "result": result}
	}
	for name, k := range kinds {
		es[name] = object{"description": k.doc, "data": s.of(k.data)}
	}
	errs := object{}
	for code, err := range codes {
		if err != nil {
			errs[idNumber(code)] = err.Error()
		}
	}
	b, err := json.MarshalIndent(object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "The local socket of a running client",
		"description": "JSON-RPC 2.0, one object a line (docs/spec/80-client.md §8.21). Fields are only ever added.",
		"methods":     ms, "events": es, "errors": errs, "$defs": s.defs,
	}, "", " ")
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

func idNumber(n int) string { b, _ := json.Marshal(n); return string(b) }

// docs/rpc.schema.json has every method, event and error, as they are.
func TestSchema(t *testing.T) {
	got := schema()
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("docs/rpc.schema.json is not what the code says: go test ./client/rpc -run TestSchema -update")
	}
}

// Every method of the API, and of what can be locked, is a method of the protocol.
func TestEveryMethodIsCarried(t *testing.T) {
	var have []string
	for name := range methods {
		have = append(have, name)
	}
	have = append(have, "subscribe")
	for _, api := range []reflect.Type{reflect.TypeFor[client.API](), reflect.TypeFor[client.Locking]()} {
		for i := range api.NumMethod() {
			name := wireName(api.Method(i).Name)
			found := false
			for _, h := range have {
				found = found || h == name
			}
			if !found {
				t.Errorf("the method %s of %s is not carried", name, api)
			}
		}
	}
}

// wireName turns WhoAmI into who_am_i.
func wireName(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// Every kind of event survives the socket, with all that is in it.
func TestEveryEventIsCarried(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		events += len(regexp.MustCompile(`(?m)^func \(\w+\) event\(\) +\{`).FindAll(b, -1))
	}
	if events != len(kinds) {
		t.Errorf("package client has %d events, of which %d are carried", events, len(kinds))
	}
	for name, k := range kinds {
		if !k.event.Implements(eventType) {
			t.Errorf("%s is no event", name)
		}
		e := filled(k.event, 1).Interface().(client.Event)
		got, data, err := encodeEvent(e)
		if err != nil || got != name {
			t.Errorf("%s: encoded as %s, %v", name, got, err)
			continue
		}
		back, err := decodeEvent(got, data)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s: got %+v, %v, want %+v", name, back, err, e)
		}
	}
}

// filled returns a value of type t with something in every field that has a
// text or number of its own choice.
func filled(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t == timeType:
		v.Set(reflect.ValueOf(at))
	case t.Kind() == reflect.String && t != reflect.TypeFor[requestID]():
		v.SetString("something")
	case t.Kind() == reflect.Bool:
		v.SetBool(true)
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		v.SetInt(int64(time.Minute))
	case t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		reflect.Copy(v, reflect.ValueOf(filledBytes(t.Len())))
	case t.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, filled(t.Elem(), depth+1)))
	case t.Kind() == reflect.Struct:
		if t == reflect.TypeOf(server) {
			v.Set(reflect.ValueOf(server))
			break
		}
		for i := range t.NumField() {
			v.Field(i).Set(filled(t.Field(i).Type, depth+1))
		}
	}
	return v
}

// filledBytes is an id that its text form accepts.
func filledBytes(n int) []byte {
	if n == len(bob) {
		return bob[:]
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

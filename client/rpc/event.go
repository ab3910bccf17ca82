package rpc

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/sremp/sremp/client"
)

// A kind is one kind of events: how its data are taken out of it and put back.
type kind struct {
	doc   string
	event reflect.Type // of client.Event
	data  reflect.Type
	get   func(client.Event) any
	parse func(json.RawMessage) (client.Event, error)
}

// of describes events of type E whose data is D.
func of[E client.Event, D any](doc string, get func(E) D, put func(D) E) kind {
	return kind{
		doc: doc, event: reflect.TypeFor[E](), data: reflect.TypeFor[D](),
		get: func(e client.Event) any { return get(e.(E)) },
		parse: func(b json.RawMessage) (client.Event, error) {
			var d D
			err := json.Unmarshal(b, &d)
			return put(d), err
		},
	}
}

// whole describes events that are their own data.
func whole[E client.Event](doc string) kind {
	same := func(e E) E { return e }
	return of(doc, same, same)
}

// kinds are all kinds of events, by the names that they have in the protocol.
var kinds = map[string]kind{
	"message": of("A message was received, or sent by any face.",
		func(e client.MessageEvent) client.Message { return e.Message }, func(d client.Message) client.MessageEvent { return client.MessageEvent{Message: d} }),
	"change": of("A message was edited or reacted to.",
		func(e client.ChangeEvent) client.Message { return e.Message }, func(d client.Message) client.ChangeEvent { return client.ChangeEvent{Message: d} }),
	"path": of("The path to a contact changed.",
		func(e client.PathEvent) client.Path { return e.Path }, func(d client.Path) client.PathEvent { return client.PathEvent{Path: d} }),
	"contact": of("A contact was added or changed.",
		func(e client.ContactEvent) client.Contact { return e.Contact }, func(d client.Contact) client.ContactEvent { return client.ContactEvent{Contact: d} }),
	"file": of("The state or progress of a file's transfer.",
		func(e client.FileEvent) client.File { return e.File }, func(d client.File) client.FileEvent { return client.FileEvent{File: d} }),
	"server": of("A server connected or disconnected.",
		func(e client.ServerEvent) client.Server { return e.Server }, func(d client.Server) client.ServerEvent { return client.ServerEvent{Server: d} }),
	"settings": of("Settings changed.",
		func(e client.SettingsEvent) client.Settings { return e.Settings }, func(d client.Settings) client.SettingsEvent { return client.SettingsEvent{Settings: d} }),
	"removal":      whole[client.RemovalEvent]("Messages are gone; no ids: the whole conversation."),
	"typing":       whole[client.TypingEvent]("A contact writes, or no longer does."),
	"delivery":     whole[client.DeliveryEvent]("A message of ours got a step further."),
	"contact_gone": whole[client.ContactGoneEvent]("A contact was deleted."),
	"notification": whole[client.NotificationEvent]("The user is to be notified."),
	"withdraw":     whole[client.WithdrawEvent]("Notifications have no more reason."),
	"lock":         whole[client.LockEvent]("The profile was locked or unlocked."),
}

// names are the kinds' names by the events' types.
var names = func() map[reflect.Type]string {
	out := map[reflect.Type]string{}
	for name, k := range kinds {
		out[k.event] = name
	}
	return out
}()

// encodeEvent returns the kind and the data of e.
func encodeEvent(e client.Event) (name string, data json.RawMessage, err error) {
	name, ok := names[reflect.TypeOf(e)]
	if !ok {
		return "", nil, fmt.Errorf("rpc: event of unknown type %T", e)
	}
	data, err = json.Marshal(kinds[name].get(e))
	return name, data, err
}

// decodeEvent is the inverse of encodeEvent. Kinds of a newer version give nil.
func decodeEvent(name string, data json.RawMessage) (client.Event, error) {
	k, ok := kinds[name]
	if !ok {
		return nil, nil
	}
	return k.parse(data)
}

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"github.com/sremp/sremp/identity"
)

// exportPage is how many messages an export holds at once.
const exportPage = 500

// eachMessage calls f for all messages of a conversation, oldest first, in pages.
func eachMessage(ctx context.Context, api API, with identity.PeerID, f func(Message) error) error {
	for after := int64(0); ; {
		page, err := api.History(ctx, with, HistoryQuery{Forward: true, After: after, Limit: exportPage})
		if err != nil {
			return err
		}
		for _, m := range page {
			after = m.Seq
			if err := f(m); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
	}
}

// ExportJSON writes every message with the contacts as one JSON object a line,
// oldest first in each conversation.
func ExportJSON(ctx context.Context, api API, w io.Writer, contacts []Contact) error {
	enc := json.NewEncoder(w)
	for _, c := range contacts {
		if err := eachMessage(ctx, api, c.ID, func(m Message) error { return enc.Encode(m) }); err != nil {
			return err
		}
	}
	return nil
}

// What contacts wrote is data in these: html/template escapes it.
var (
	exportHead = template.Must(template.New("head").Parse(`<!DOCTYPE html>
<html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Messages</title><style>
body { font-family: sans-serif; max-width: 45em; margin: 2em auto }
p { white-space: pre-wrap; overflow-wrap: anywhere; border-left: .3em solid #999; padding-left: .7em }
p.mine { border-color: #36c } time, q { color: #666; font-size: smaller }
</style></head><body>
`))
	exportName    = template.Must(template.New("name").Parse("<h1>{{.Label}}</h1><div>{{.ID}}</div>\n"))
	exportMessage = template.Must(template.New("message").Parse(
		`<p{{if .Mine}} class="mine"{{end}}><time>{{.SentAt.Format "2006-01-02 15:04:05 MST"}}</time>{{if .Quote}} <q>{{.Quote}}</q>{{end}}
{{.Text}}{{if .MyReaction}} {{.MyReaction}}{{end}}{{if .Reaction}} {{.Reaction}}{{end}}</p>
`))
)

// ExportHTML writes the conversations as one page to read, which loads nothing.
func ExportHTML(ctx context.Context, api API, w io.Writer, contacts []Contact) error {
	if err := exportHead.Execute(w, nil); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	for _, c := range contacts {
		if err := exportName.Execute(w, c); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		err := eachMessage(ctx, api, c.ID, func(m Message) error { return exportMessage.Execute(w, m) })
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "</body></html>\n")
	return err
}

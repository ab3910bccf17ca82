package main

import (
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// The objects of --json (docs/cli.md). Fields are only ever added.
type (
	messageJSON struct {
		Event       string           `json:"event"` // "message"
		ID          client.MessageID `json:"id"`
		Contact     identity.PeerID  `json:"contact"`
		ContactName string           `json:"contact_name"`
		From        identity.PeerID  `json:"from"`
		Mine        bool             `json:"mine"`
		Text        string           `json:"text"`
		SentAt      jsonTime         `json:"sent_at"`
		State       string           `json:"state,omitempty"` // of own messages
		ReplyTo     client.MessageID `json:"reply_to,omitzero"`
		Quote       string           `json:"quote,omitempty"`
		EditedAt    jsonTime         `json:"edited_at,omitzero"`
		ExpiresAt   jsonTime         `json:"expires_at,omitzero"`
		MyReaction  string           `json:"my_reaction,omitempty"`
		Reaction    string           `json:"reaction,omitempty"`
		Mention     bool             `json:"mention,omitempty"`
		File        *fileJSON        `json:"file,omitempty"`
	}
	removalJSON struct {
		Event       string             `json:"event"` // "removal"
		Contact     identity.PeerID    `json:"contact"`
		ContactName string             `json:"contact_name"`
		IDs         []client.MessageID `json:"ids"`
	}
	typingJSON struct {
		Event       string          `json:"event"` // "typing"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
		On          bool            `json:"on"`
	}
	pathJSON struct {
		Event       string          `json:"event"` // "path"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
		Path        client.PathKind `json:"path"`
		Remote      string          `json:"remote"`
		RTT         float64         `json:"rtt_ms"`
		Sent        uint64          `json:"sent"` // packets lately
		Lost        uint64          `json:"lost"` // of those
		Reason      string          `json:"reason"`
		Why         client.Why      `json:"why"`
	}
	deliveryJSON struct {
		Event       string               `json:"event"` // "delivery"
		ID          client.MessageID     `json:"id"`
		Contact     identity.PeerID      `json:"contact"`
		ContactName string               `json:"contact_name"`
		State       client.DeliveryState `json:"state"`
	}
	contactJSON struct {
		Event       string          `json:"event"` // "contact"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
		Name        string          `json:"name"`
		Nick        string          `json:"nick"`
		Trust       string          `json:"trust"`
		Unread      int             `json:"unread"`
		Path        client.PathKind `json:"path"`
		FirstSeen   jsonTime        `json:"first_seen"`
		LastSeen    jsonTime        `json:"last_seen"`
		Self        bool            `json:"self,omitempty"`
		Verified    jsonTime        `json:"verified,omitzero"`
		KeysChanged jsonTime        `json:"keys_changed,omitzero"`
		Disappear   float64         `json:"disappear_s,omitempty"`
		Pinned      bool            `json:"pinned,omitempty"`
		Muted       bool            `json:"muted,omitempty"`
		Archived    bool            `json:"archived,omitempty"`
		ShareRead   bool            `json:"share_read,omitempty"`
		ShareTyping bool            `json:"share_typing,omitempty"`
		RelayOnly   bool            `json:"relay_only,omitempty"`
		Mentions    int             `json:"mentions,omitempty"`
		Draft       string          `json:"draft,omitempty"`
		LastText    string          `json:"last_text,omitempty"`
		FormerName  string          `json:"former_name,omitempty"`
		Successor   string          `json:"successor,omitempty"`
	}
	contactGoneJSON struct {
		Event       string          `json:"event"` // "contact_gone"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
	}
	notificationJSON struct {
		Event       string                  `json:"event"` // "notification"
		Kind        client.NotificationKind `json:"kind"`
		Title       string                  `json:"title"`
		Body        string                  `json:"body"`
		Contact     identity.PeerID         `json:"contact"`
		ContactName string                  `json:"contact_name"`
		Message     client.MessageID        `json:"message,omitzero"`
	}
	withdrawJSON struct {
		Event       string             `json:"event"` // "withdraw"
		Contact     identity.PeerID    `json:"contact"`
		ContactName string             `json:"contact_name"`
		IDs         []client.MessageID `json:"ids"`
	}
	lockJSON struct {
		Event  string `json:"event"` // "lock"
		Locked bool   `json:"locked"`
	}
	serverJSON struct {
		Event     string              `json:"event"` // "server"
		Address   identity.ServerAddr `json:"address"`
		Connected bool                `json:"connected"`
		Problem   string              `json:"problem"`
		Tunnel    bool                `json:"tunnel,omitempty"`
	}
	whoamiJSON struct {
		Event   string          `json:"event"` // "whoami"
		ID      identity.PeerID `json:"id"`
		Name    string          `json:"name"`
		Created jsonTime        `json:"created"`
		Servers []serverJSON    `json:"servers"`
	}
)

// jsonTime is RFC 3339 in UTC, null if there was no such moment.
type jsonTime time.Time

// IsZero is for omitzero.
func (t jsonTime) IsZero() bool { return time.Time(t).IsZero() }

func (t jsonTime) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return time.Time(t).UTC().MarshalJSON()
}

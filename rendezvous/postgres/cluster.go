package postgres

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sremp/sremp/rendezvous"
)

const (
	// beatEvery is how often a process says that it lives; one that has not for
	// beatLife reaches nobody.
	beatEvery = 5 * time.Second
	beatLife  = 15 * time.Second
	// listenAgain is the pause before a lost connection is replaced.
	listenAgain  = time.Second
	messageQueue = 256
	// maxNotify is the longest payload that PostgreSQL takes.
	maxNotify = 7999

	everybody = "sremp_rendezvous"
)

// Node implements [rendezvous.Cluster].
func (s *Store) Node() string { return s.node }

// Online implements [rendezvous.Cluster].
func (s *Store) Online(ctx context.Context, name [32]byte, until time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO online VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET node = excluded.node, expires = excluded.expires`, name[:], s.node, until.Unix())
	return wrap("noting who is connected", err)
}

// Offline implements [rendezvous.Cluster].
func (s *Store) Offline(ctx context.Context, names [][32]byte) error {
	var keys [][]byte
	for _, n := range names {
		keys = append(keys, n[:])
	}
	_, err := s.pool.Exec(ctx, "DELETE FROM online WHERE name = ANY($1) AND node = $2", keys, s.node)
	return wrap("noting who has left", err)
}

// Where implements [rendezvous.Cluster].
func (s *Store) Where(ctx context.Context, name [32]byte, now time.Time) (node string, ok bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT node FROM online JOIN nodes USING (node)
		WHERE name = $1 AND expires > $2 AND seen > extract(epoch FROM now()) - $3`,
		name[:], now.Unix(), int(beatLife/time.Second)).Scan(&node)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return node, err == nil, wrap("finding who is connected", err)
}

// Send implements [rendezvous.Cluster].
func (s *Store) Send(ctx context.Context, node string, message []byte) error {
	payload := base64.StdEncoding.EncodeToString(message)
	if len(message) > rendezvous.MaxClusterMessage || len(payload) > maxNotify {
		return fmt.Errorf("rendezvous: a message of %d bytes to other processes", len(message))
	}
	_, err := s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", channel(node), payload)
	return wrap("telling the other processes", err)
}

func channel(node string) string {
	if node == "" {
		return everybody
	}
	return everybody + "_" + node
}

// Receive implements [rendezvous.Cluster].
func (s *Store) Receive() <-chan []byte { return s.messages }

// beat says that this process lives.
func (s *Store) beat(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO nodes VALUES ($1, extract(epoch FROM now()))
		ON CONFLICT (node) DO UPDATE SET seen = excluded.seen`, s.node)
	return err
}

func (s *Store) beatAlways(ctx context.Context) {
	for {
		select {
		case <-time.After(beatEvery):
		case <-ctx.Done():
			return
		}
		err := s.beat(ctx)
		if err == nil {
			// Processes that ended without leaving, long ago.
			_, err = s.pool.Exec(ctx, "DELETE FROM nodes WHERE seen < extract(epoch FROM now()) - 3600")
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("the database does not answer", "err", err)
		}
	}
}

// listen returns a connection that hears what is sent to this process.
func (s *Store) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	for _, c := range []string{everybody, channel(s.node)} {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{c}.Sanitize()); err != nil {
			conn.Close(ctx)
			return nil, err
		}
	}
	return conn, nil
}

// receive owns conn, and replaces it when it is lost. What was sent in between
// is lost, as the interface says.
func (s *Store) receive(ctx context.Context, conn *pgx.Conn) {
	defer close(s.messages)
	for {
		err := s.hear(ctx, conn)
		conn.Close(context.WithoutCancel(ctx))
		for conn = nil; conn == nil; conn, err = s.listen(ctx) {
			if ctx.Err() != nil {
				return
			}
			s.log.Error("the connection to the other processes is lost", "err", err)
			select {
			case <-time.After(listenAgain):
			case <-ctx.Done():
				return
			}
		}
	}
}

// hear passes messages on until the connection fails or ctx ends.
func (s *Store) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		b, err := base64.StdEncoding.DecodeString(n.Payload)
		if err != nil {
			continue // not one of ours
		}
		select {
		case s.messages <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

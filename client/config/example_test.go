package config_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sremp/sremp/client/config"
)

// What one profile changes holds for it alone.
func Example() {
	dir, err := os.MkdirTemp("", "config")
	if err != nil {
		log.Panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sremp.toml")
	work, home := config.File{Path: path, Profile: "work"}, config.File{Path: path, Profile: "home"}

	s, err := work.Load()
	if err == nil {
		err = s.Set("notifications.show", "none")
	}
	if err == nil {
		err = work.Save(s)
	}
	if err != nil {
		log.Panic(err)
	}
	for _, f := range []config.File{work, home} {
		s, err := f.Load()
		fmt.Println(f.Profile, s.Notifications.Show, err)
	}
	// Output:
	// work none <nil>
	// home sender <nil>
}

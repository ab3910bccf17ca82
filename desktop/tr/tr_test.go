package tr

import (
	"testing"
	"time"
)

func TestPreferred(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string // empty: English
	}{
		{nil, ""},
		{map[string]string{"LANG": "C.UTF-8", "LANGUAGE": "de"}, ""}, // C says: no translation
		{map[string]string{"LANG": "POSIX"}, ""},
		{map[string]string{"LANG": "en_GB.UTF-8"}, ""},
		{map[string]string{"LANG": "de_DE.UTF-8"}, "de"},
		{map[string]string{"LANG": "de"}, "de"},
		{map[string]string{"LANG": "de_AT@euro"}, "de"},
		{map[string]string{"LANG": "fr_FR.UTF-8"}, ""},
		{map[string]string{"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "de_CH.UTF-8"}, "de"},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, ""},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, ""},
		{map[string]string{"LANG": "fr_FR.UTF-8", "LANGUAGE": "xx:de_DE:en"}, "de"},
		{map[string]string{"LANG": "de_DE.UTF-8", "LANGUAGE": "en:de"}, ""},
		{map[string]string{"LANG": "../../etc/passwd"}, ""},
	} {
		got := ""
		if l := Preferred(func(name string) string { return c.env[name] }); l != nil {
			got = l.Name
		}
		if got != c.want {
			t.Errorf("%v speaks %q, want %q", c.env, got, c.want)
		}
	}
}

func TestSay(t *testing.T) {
	defer Use(nil)
	de, ok := Load("de")
	if !ok {
		t.Fatal("no German")
	}
	day := time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		language *Language
		want     [6]string
	}{
		{nil, [6]string{"Send", "1 byte", "2 bytes", "not in it 7", "100 % text", "5 March"}},
		{de, [6]string{"Senden", "1 Byte", "2 Bytes", "not in it 7", "100 % text", "5. März"}},
	} {
		Use(c.language)
		got := [6]string{T("Send"), N("%d byte", "%d bytes", 1, 1), N("%d byte", "%d bytes", 2, 2), T("not in it %d", 7),
			Text("100 % text"), Date(day, Mark("2 January"))}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestRightToLeft(t *testing.T) {
	for locale, want := range map[string]bool{"ar_EG.UTF-8": true, "he": true, "fa.UTF-8": true, "": false, "C": false, "de_DE.UTF-8": false, "arn_CL": false} {
		if got := RightToLeft(func(name string) string { return map[string]string{"LANG": locale}[name] }); got != want {
			t.Errorf("%q: got %v, want %v", locale, got, want)
		}
	}
}

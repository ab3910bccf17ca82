package relay

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// LimitNames returns the names of all limits, as Set takes them, in the order of
// [Limits].
func LimitNames() (all []string) {
	for f := range reflect.TypeFor[Limits]().Fields() {
		all = append(all, snake(f.Name))
	}
	return all
}

// snake turns OwnerBytes into owner_bytes, TTL into ttl.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Texts returns the name and the value of each limit, as Set takes them, in the
// order of [Limits].
func (l Limits) Texts() (all [][2]string) {
	v := reflect.ValueOf(l)
	for i, name := range LimitNames() {
		text := fmt.Sprint(v.Field(i).Interface())
		if x, ok := v.Field(i).Interface().(float64); ok {
			text = strconv.FormatFloat(x, 'f', -1, 64)
		}
		all = append(all, [2]string{name, text})
	}
	return all
}

// Set changes one limit by its name: a number, or a duration such as 720h.
func (l *Limits) Set(name, value string) error {
	v := reflect.ValueOf(l).Elem()
	for i, n := range LimitNames() {
		if n != name {
			continue
		}
		f := v.Field(i)
		switch f.Interface().(type) {
		case time.Duration:
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return fmt.Errorf("relay: limit %s takes a duration such as 30s or 720h, not %q", name, value)
			}
			f.SetInt(int64(d))
		case float64:
			x, err := strconv.ParseFloat(value, 64)
			if err != nil || !(x > 0) || math.IsInf(x, 0) {
				return fmt.Errorf("relay: limit %s takes a number above 0, not %q", name, value)
			}
			f.SetFloat(x)
		default:
			x, err := strconv.ParseInt(value, 10, 63)
			if err != nil || x <= 0 || f.OverflowInt(x) {
				return fmt.Errorf("relay: limit %s takes a whole number above 0, not %q", name, value)
			}
			f.SetInt(x)
		}
		return nil
	}
	return fmt.Errorf("relay: there is no limit named %q", name)
}

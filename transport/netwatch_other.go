//go:build !linux

package transport

import (
	"context"
	"errors"
)

func watchNetwork(context.Context, func(func()) bool, func()) error { return errors.ErrUnsupported }

// Package bench measures the hot paths across packages:
//
//	go test ./bench -run '^$' -bench .
package bench

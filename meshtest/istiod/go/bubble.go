package main

import (
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// inBubble runs f, and every goroutine that istiod starts under it, in a bubble of testing/synctest.
//
// istiod's informers, queues and krt collections work in dozens of goroutines that hand changes on to each other,
// and nothing in them says when a change has arrived everywhere. The bubble does: settle returns when every
// goroutine in it is blocked on another one, that is, when nothing is left to do. Its clock stands still meanwhile,
// so no answer depends on a timer. The package offers this only with a *testing.T, hence the detour.
func inBubble(f func()) {
	testing.Init()
	_ = flag.CommandLine.Parse(nil)
	os.Stdout = os.Stderr // what the testing package prints must not get between frames
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "engine", F: func(t *testing.T) {
		now := time.Now().Round(0)
		synctest.Test(t, func(*testing.T) {
			time.Sleep(time.Until(now)) // its clock begins in the year 2000, and certificates are valid at a time
			f()
		})
	}}}, nil, nil)
}

// settle returns when the rest of the bubble has come to rest. The step of the bubble's clock lets what is due at
// once (rate limited queues) run too, and gives each update a time of its own, by which istiod's cache tells
// new from old.
func settle() {
	synctest.Wait()
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

// milliseconds reads the real clock, which time.Now is not in a bubble.
func milliseconds() float64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return float64(now.Nano()) / 1e6
}

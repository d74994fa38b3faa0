// SPDX-License-Identifier: Apache-2.0

// load ADDRESS SECONDS: the phases of queue_load/load.c for queues that are used through a Go
// client; built with one of the files beside it, which says what `peer` is.
package main

import (
	"encoding/json"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	idle    = 2 * time.Millisecond // What a worker is left alone before its job comes.
	least   = 5                    // Pickups to measure, even if they outlast their share.
	lateMax = 4                    // So many times its share a phase may take at most.
)

var payload = strings.Repeat("x", 200)

// A queue: how jobs are put into it, and who works on them.
type queue interface {
	reset()
	// put enqueues so many jobs, each with the moment it was sent.
	put(count int, sent int64)
	// work starts workers, which call onJob for each; the function returned stops them.
	work(isFlow bool, onJob func(sent int64)) func()
	// spread says how many producers enqueue how many jobs at a time for a window.
	spread(window int) (producers, bulk int)
}

var begun = time.Now()

func now() int64 { return int64(time.Since(begun)) }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func report(phase string, count int64, took time.Duration, samples []int64) {
	line := map[string]any{"phase": phase, "count": count,
		"rate": float64(count) / took.Seconds()}
	if len(samples) > 0 {
		sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
		line["p50_us"] = float64(samples[len(samples)/2]) / 1e3
		line["p99_us"] = float64(samples[len(samples)*99/100]) / 1e3
	}
	must(json.NewEncoder(os.Stdout).Encode(line))
}

func enqueueAlone(q queue, share time.Duration) {
	var samples []int64
	start := time.Now()
	for time.Since(start) < share {
		sent := now()
		q.put(1, sent)
		samples = append(samples, now()-sent)
	}
	report("enqueue_1", int64(len(samples)), time.Since(start), samples)
}

func pickup(q queue, share time.Duration) {
	picked := make(chan int64, 1)
	stop := q.work(false, func(sent int64) { picked <- now() - sent })
	defer stop()
	q.put(1, now()) // The first one finds workers that are starting.
	<-picked
	var samples []int64
	start := time.Now()
	for took := time.Duration(0); took < share || (len(samples) < least && took < lateMax*share); {
		time.Sleep(idle)
		q.put(1, now())
		samples = append(samples, <-picked)
		took = time.Since(start)
	}
	report("pickup", int64(len(samples)), time.Since(start), samples)
}

// flow keeps `window` jobs unfinished: a slot is taken by each that is put, and freed when it is
// enqueued, or worked if there are workers.
func flow(q queue, phase string, window int, share time.Duration, isEndToEnd bool) {
	var done, isOver atomic.Int64
	free := make(chan struct{}, 2*window)
	for range window {
		free <- struct{}{}
	}
	finish := func(count int) {
		done.Add(int64(count))
		for range count {
			free <- struct{}{}
		}
	}
	stop := func() {}
	if isEndToEnd {
		stop = q.work(true, func(int64) { finish(1) })
	}
	var group sync.WaitGroup
	start := time.Now()
	producers, bulk := q.spread(window)
	for range producers {
		group.Go(func() {
			for isOver.Load() == 0 {
				count := 0
				for ; count < bulk && (count == 0 || len(free) > 0); count++ {
					<-free
				}
				q.put(count, now())
				if !isEndToEnd {
					finish(count)
				}
			}
		})
	}
	for took := time.Duration(0); took < share || (done.Load() < int64(window) && took < lateMax*share); {
		time.Sleep(time.Millisecond)
		took = time.Since(start)
	}
	report(phase, done.Load(), time.Since(start), nil)
	isOver.Store(1)
	group.Wait()
	stop()
}

func main() {
	log.SetFlags(0)
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	must(err)
	share := func(part float64) time.Duration {
		return time.Duration(seconds * part * float64(time.Second))
	}
	q := open(os.Args[1])
	q.reset()
	enqueueAlone(q, share(0.15))
	q.reset()
	pickup(q, share(0.15))
	for _, phase := range []struct {
		name       string
		window     int
		part       float64
		isEndToEnd bool
	}{
		{"e2e_64", 64, 0.2, true}, {"e2e_1024", 1024, 0.2, true},
		{"enqueue_64", 64, 0.15, false}, {"enqueue_1024", 1024, 0.15, false},
	} {
		q.reset()
		flow(q, phase.name, phase.window, share(phase.part), phase.isEndToEnd)
	}
}

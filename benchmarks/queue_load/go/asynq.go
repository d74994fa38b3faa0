// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hibiken/asynq"
)

// Its client enqueues one task at a time: as many goroutines do so as the window has room for. A
// task counts when its handler returns; the client acks it just after. Its workers sleep when they
// find nothing, for a second by default: that is what a pickup shows. Under a flow they look again
// after a millisecond, or its window would run dry at each sleep.
type tasks struct {
	options asynq.RedisClientOpt
	client  *asynq.Client
}

type task struct {
	Sent    int64
	Payload string
}

func open(address string) queue {
	options := asynq.RedisClientOpt{Addr: address, PoolSize: 256}
	return &tasks{options, asynq.NewClient(options)}
}

func (t *tasks) reset() {
	inspector := asynq.NewInspector(t.options)
	defer inspector.Close()
	err := inspector.DeleteQueue("default", true)
	if !errors.Is(err, asynq.ErrQueueNotFound) {
		must(err)
	}
}

func (t *tasks) put(count int, sent int64) {
	for range count {
		body, err := json.Marshal(task{sent, payload})
		must(err)
		_, err = t.client.Enqueue(asynq.NewTask("load", body))
		must(err)
	}
}

func (t *tasks) work(isFlow bool, onJob func(int64)) func() {
	config := asynq.Config{Concurrency: 64, LogLevel: asynq.FatalLevel}
	if isFlow {
		config.TaskCheckInterval = time.Millisecond
	}
	server := asynq.NewServer(t.options, config)
	must(server.Start(asynq.HandlerFunc(func(_ context.Context, received *asynq.Task) error {
		var body task
		if err := json.Unmarshal(received.Payload(), &body); err != nil {
			return err
		}
		onJob(body.Sent)
		return nil
	})))
	return server.Shutdown
}

func (t *tasks) spread(window int) (int, int) { return window, 1 }

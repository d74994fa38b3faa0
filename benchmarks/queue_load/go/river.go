// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Bulk inserts, and workers set as its own benchmark sets them. A job counts when its worker
// returns; the client completes it, with others, just after.
type jobs struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

type arguments struct {
	Sent    int64
	Payload string
}

func (arguments) Kind() string { return "load" }

type worker struct {
	river.WorkerDefaults[arguments]
	onJob func(int64)
}

func (w *worker) Work(_ context.Context, job *river.Job[arguments]) error {
	w.onJob(job.Args.Sent)
	return nil
}

var quiet = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 4}))

func open(address string) queue {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(address)
	must(err)
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(err)
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	must(err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	must(err)
	client, err := river.NewClient(driver, &river.Config{Logger: quiet})
	must(err)
	return &jobs{pool, client}
}

func (j *jobs) reset() {
	_, err := j.pool.Exec(context.Background(), "TRUNCATE river_job")
	must(err)
}

func (j *jobs) put(count int, sent int64) {
	ctx := context.Background()
	if count == 1 {
		_, err := j.client.Insert(ctx, arguments{sent, payload}, nil)
		must(err)
		return
	}
	rows := make([]river.InsertManyParams, count)
	for i := range rows {
		rows[i].Args = arguments{sent, payload}
	}
	_, err := j.client.InsertManyFast(ctx, rows)
	must(err)
}

func (j *jobs) work(_ bool, onJob func(int64)) func() {
	ctx := context.Background()
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{onJob: onJob})
	client, err := river.NewClient(riverpgxv5.New(j.pool), &river.Config{
		FetchCooldown:     2 * time.Millisecond,
		FetchPollInterval: 20 * time.Millisecond,
		Logger:            quiet,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2000}},
		Workers:           workers,
	})
	must(err)
	must(client.Start(ctx))
	return func() { must(client.Stop(ctx)) }
}

func (j *jobs) spread(window int) (int, int) { return 2, window / 2 }

package main

import (
	"flag"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves an etcd on loopback that forgets to sync to disk: a test's data is worth nothing after it.
func runEtcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dir := flags.String("dir", "", "where the data lives")
	listen := flags.String("listen", "http://127.0.0.1:2379", "the client URL")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := url.Parse(*listen)
	if err != nil {
		return err
	}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(*dir, "peer.sock:0")}

	config := embed.NewConfig()
	config.Dir = filepath.Join(*dir, "data")
	config.ListenClientUrls = []url.URL{*client}
	config.AdvertiseClientUrls = []url.URL{*client}
	config.ListenPeerUrls = []url.URL{peer}
	config.AdvertisePeerUrls = []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer etcd.Close()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-etcd.Err():
		return err
	case <-stop:
		time.AfterFunc(5*time.Second, func() { os.Exit(1) })
		return nil
	}
}

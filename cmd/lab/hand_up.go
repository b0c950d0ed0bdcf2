package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/topology"
)

// upFlags say what lab to build.
type upFlags struct {
	name, path, arp, firewall string
	family                    int
	standby, netns, here      bool
	delay, grace              time.Duration
	loss                      string
	sysctls                   []string
}

func upCommand(s streams) *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Build a lab that stays up, to be used by hand from several terminals; needs root",
		Long: `Builds a client's and a server's host with what lies between them, and keeps them
up, in the background, until lab down. The timers are the kernel's own, but for
--sysctl. In other terminals:

  sudo lab exec server -- PROGRAM...   runs a program on a host
  sudo lab shell client                a shell there
  sudo lab fault crash                 makes the server's host crash (lab fault --help)
  sudo lab watch                       shows what happens, as it happens
  sudo lab status                      how things are

lab tutorial leads through all of it.`,
		Args: onlyNamed,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), s) },
	}
	flags := c.Flags()
	nameFlag(c, &f.name, "call the lab `NAME`: several can be up (default "+byhand.DefaultName+")")
	flags.StringVar(&f.path, "path", string(topology.Router), "build `PATH` between the hosts: direct, switch, router")
	flags.IntVar(&f.family, "family", 4, "`FAMILY` of IP: 4 or 6")
	flags.StringVar(&f.arp, "arp", "answered", "whether a dead host's address is still resolved: `answered`, as in clouds, or fails, as on a plain LAN")
	flags.BoolVar(&f.standby, "standby", false, "have a third host, which can take the server's address over; takes --path switch")
	flags.StringVar(&f.firewall, "firewall", "", "let the router know its flows: what belongs to none it answers as `KIND` says: drop, reset")
	flags.DurationVar(&f.delay, "delay", 0, "delay what passes the client's link by `TIME`, each way")
	flags.StringVar(&f.loss, "loss", "0", "lose a `SHARE` of what passes the client's link, each way: 5% or 0.05")
	flags.StringArrayVar(&f.sysctls, "sysctl", nil, "set `[HOST:]KEY=VALUE` on client, server, router or standby (default: client and server)")
	flags.DurationVar(&f.grace, "grace", topology.DefaultGrace, "`TIME` from SIGTERM to SIGKILL at a shutdown")
	flags.BoolVar(&f.netns, "netns", false, "name the hosts' network namespaces for iproute2: NAME-client, NAME-server...")
	flags.BoolVar(&f.here, "fg", false, "stay in the foreground: Ctrl-C takes the lab down")
	return c
}

func (f *upFlags) config() (byhand.Config, error) {
	c := byhand.Config{
		Name: f.name, Path: topology.Path(f.path), Family: topology.Family(f.family), Standby: f.standby,
		Firewall: topology.Firewall(f.firewall), Delay: f.delay, Grace: f.grace, NetNS: f.netns,
		Sysctls: map[string]map[string]string{}, Command: commandLine(),
	}
	if c.Name == "" {
		c.Name = byhand.DefaultName
	}
	if err := byhand.CheckName(c.Name); err != nil {
		return c, usageError(fmt.Errorf("--name: %w", err), "")
	}
	switch f.arp {
	case "answered":
	case "fails":
		c.ARPFails = true
	default:
		return c, usageError(fmt.Errorf("--arp %s: there are answered, fails", f.arp), "")
	}
	for _, one := range f.sysctls {
		if err := lab.ParseSysctl(one, c.Sysctls); err != nil {
			return c, usageError(err, "for example --sysctl client:net.ipv4.tcp_retries2=3")
		}
	}
	var err error
	if c.Loss, err = share(f.loss); err != nil {
		return c, usageError(fmt.Errorf("--loss %s: %w", f.loss, err), "for example --loss 5%")
	}
	if f.grace <= 0 {
		return c, usageError(fmt.Errorf("--grace %v: it must be longer than nothing", f.grace), "")
	}
	return c, nil
}

func (f *upFlags) run(ctx context.Context, s streams) error {
	c, err := f.config()
	if err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	if err := byhand.KeepFiles(); err != nil {
		return &exitError{exitInternal, err, ""}
	}
	if !f.here {
		up, err := byhand.Detach(ctx, "lab", byhand.RunDir, c)
		if err != nil {
			return byHand(err)
		}
		return up.WriteUp(s.out)
	}
	// A terminal that is closed says so more than once, its shell does, too: only
	// the first is for who would end.
	if !signal.Ignored(unix.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	}
	beFrugal()
	err = byhand.Run(ctx, byhand.RunDir, c, func(up *byhand.Status) error {
		err := up.WriteUp(s.out)
		fmt.Fprintln(s.err, "in the foreground: Ctrl-C takes it down")
		return err
	})
	if err == nil {
		fmt.Fprintf(s.err, "%s is down\n", &byhand.Lab{Name: c.Name})
	}
	return byHand(err)
}

// superviseCommand is what lab up executes for a lab that stays up.
func superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use: byhand.SupervisorVerb, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, _ []string) error {
			beFrugal()
			if err := byhand.Supervise(c.Context(), byhand.RunDir); err != nil {
				return &exitError{exitInternal, nil, ""} // it was told
			}
			return nil
		},
	}
}

// beFrugal lets the heap grow no more than it must: the process stays for days,
// and has nothing to do most of the time.
func beFrugal() { debug.SetGCPercent(100) }

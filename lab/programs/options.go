package programs

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options are the socket options that decide when a TCP notices that its peer
// is gone. Zero is off, or nothing said.
type Options struct {
	KeepAlive                   bool
	KeepIdle, KeepIntvl         time.Duration
	KeepCnt                     int
	UserTimeout                 time.Duration
	ReceiveTimeout, SendTimeout time.Duration
	SynCount                    int
	RecvErr                     bool
}

// A kind is what the value of a socket option looks like, to the user and to
// the kernel.
type kind int

const (
	number       kind = iota
	truth             // 0 or 1
	seconds           // or a duration; an int
	milliseconds      // or a duration; an int
	interval          // a duration; a struct timeval
	linger            // seconds; a struct linger
)

// An option is a socket option that -set knows.
type option struct {
	name          string
	level, name4  int
	level6, name6 int // on an IPv6 socket, where that differs
	kind          kind
	min, max      int64 // in the kernel's unit
	keep          func(*Options, int64)
}

// options is what -set knows. The limits are those of do_tcp_setsockopt and
// sk_setsockopt.
func options() []option {
	const most = math.MaxInt32
	return []option{
		{
			name: "SO_KEEPALIVE", level: unix.SOL_SOCKET, name4: unix.SO_KEEPALIVE, kind: truth, max: 1,
			keep: func(o *Options, v int64) { o.KeepAlive = v != 0 },
		},
		{
			name: "TCP_KEEPIDLE", level: unix.SOL_TCP, name4: unix.TCP_KEEPIDLE, kind: seconds, min: 1, max: 32767,
			keep: func(o *Options, v int64) { o.KeepIdle = time.Duration(v) * time.Second },
		},
		{
			name: "TCP_KEEPINTVL", level: unix.SOL_TCP, name4: unix.TCP_KEEPINTVL, kind: seconds, min: 1, max: 32767,
			keep: func(o *Options, v int64) { o.KeepIntvl = time.Duration(v) * time.Second },
		},
		{
			name: "TCP_KEEPCNT", level: unix.SOL_TCP, name4: unix.TCP_KEEPCNT, min: 1, max: 127,
			keep: func(o *Options, v int64) { o.KeepCnt = int(v) },
		},
		{
			name: "TCP_USER_TIMEOUT", level: unix.SOL_TCP, name4: unix.TCP_USER_TIMEOUT, kind: milliseconds, max: most,
			keep: func(o *Options, v int64) { o.UserTimeout = time.Duration(v) * time.Millisecond },
		},
		{
			name: "SO_RCVTIMEO", level: unix.SOL_SOCKET, name4: unix.SO_RCVTIMEO, kind: interval, max: math.MaxInt64,
			keep: func(o *Options, v int64) { o.ReceiveTimeout = time.Duration(v) },
		},
		{
			name: "SO_SNDTIMEO", level: unix.SOL_SOCKET, name4: unix.SO_SNDTIMEO, kind: interval, max: math.MaxInt64,
			keep: func(o *Options, v int64) { o.SendTimeout = time.Duration(v) },
		},
		{name: "SO_RCVBUF", level: unix.SOL_SOCKET, name4: unix.SO_RCVBUF, min: 1, max: most},
		{name: "SO_SNDBUF", level: unix.SOL_SOCKET, name4: unix.SO_SNDBUF, min: 1, max: most},
		{name: "TCP_NODELAY", level: unix.SOL_TCP, name4: unix.TCP_NODELAY, kind: truth, max: 1},
		{
			name: "TCP_SYNCNT", level: unix.SOL_TCP, name4: unix.TCP_SYNCNT, min: 1, max: 127,
			keep: func(o *Options, v int64) { o.SynCount = int(v) },
		},
		{name: "SO_LINGER", level: unix.SOL_SOCKET, name4: unix.SO_LINGER, kind: linger, max: most},
		{
			name: "IP_RECVERR", level: unix.SOL_IP, name4: unix.IP_RECVERR,
			level6: unix.SOL_IPV6, name6: unix.IPV6_RECVERR, kind: truth, max: 1,
			keep: func(o *Options, v int64) { o.RecvErr = v != 0 },
		},
	}
}

// parse reads a value, into the kernel's unit (an interval: nanoseconds).
func (o option) parse(s string) (int64, error) {
	unit := map[kind]time.Duration{seconds: time.Second, linger: time.Second, milliseconds: time.Millisecond, interval: 1}[o.kind]
	v, err := strconv.ParseInt(s, 10, 64)
	if unit != 0 && (err != nil || o.kind == interval) {
		var d time.Duration
		if d, err = time.ParseDuration(s); err == nil && d%unit != 0 {
			return 0, fmt.Errorf("%s=%s: not a whole number of %v", o.name, s, unit)
		}
		v = int64(d / unit)
	}
	switch {
	case err != nil && o.kind == interval:
		return 0, fmt.Errorf("%s=%s: not a duration", o.name, s)
	case err != nil && unit != 0:
		return 0, fmt.Errorf("%s=%s: neither a number nor a duration", o.name, s)
	case err != nil:
		return 0, fmt.Errorf("%s=%s: not a number", o.name, s)
	case v < o.min || v > o.max:
		return 0, fmt.Errorf("%s=%s: out of range", o.name, s)
	}
	return v, nil
}

// at is the option's level and name on a socket of this family.
func (o option) at(family int) (level, name int) {
	if family == unix.AF_INET6 && o.name6 != 0 {
		return o.level6, o.name6
	}
	return o.level, o.name4
}

// set sets the option on a socket.
func (o option) set(fd, family int, v int64) error {
	level, name := o.at(family)
	switch o.kind {
	case interval:
		tv := unix.NsecToTimeval(v)
		return unix.SetsockoptTimeval(fd, level, name, &tv)
	case linger:
		return unix.SetsockoptLinger(fd, level, name, &unix.Linger{Onoff: 1, Linger: int32(v)})
	default:
		return unix.SetsockoptInt(fd, level, name, int(v))
	}
}

// get reads the option of a socket.
func (o option) get(fd, family int) (int64, error) {
	level, name := o.at(family)
	if o.kind == interval {
		tv, err := unix.GetsockoptTimeval(fd, level, name)
		if err != nil {
			return 0, err
		}
		return tv.Nano(), nil
	}
	v, err := unix.GetsockoptInt(fd, level, name)
	return int64(v), err
}

// settings are what -set was given, in that order. They are a flag.Value.
type settings []setting

type setting struct {
	option option
	value  int64
}

func (s *settings) String() string { return "" }

func (s *settings) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("not NAME=VALUE")
	}
	all := options()
	i := slices.IndexFunc(all, func(o option) bool { return o.name == name })
	if i < 0 {
		return fmt.Errorf("%s: not an option known here (%s)", name, optionNames())
	}
	v, err := all[i].parse(value)
	if err != nil {
		return err
	}
	*s = append(*s, setting{all[i], v})
	return nil
}

func optionNames() string {
	var names []string
	for _, o := range options() {
		names = append(names, o.name)
	}
	return strings.Join(names, ", ")
}

// flag makes -set a flag.
func (s *settings) flag(flags *flag.FlagSet) {
	flags.Var(s, "set", "set a socket option, as `NAME=VALUE`: "+optionNames()+"; may be given again")
}

// apply sets the options on a socket. It says what went wrong.
func (s settings) apply(fd, family int) bool {
	for _, one := range s {
		if err := one.option.set(fd, family, one.value); err != nil {
			complain("setsockopt "+one.option.name, err)
			return false
		}
	}
	return true
}

// declared is what the settings say of those that Options has.
func (s settings) declared() Options {
	var o Options
	for _, one := range s {
		if one.option.keep != nil {
			one.option.keep(&o, one.value)
		}
	}
	return o
}

// Declared returns the options that a command line of an example program asks
// for on its connections, zero where it says nothing. It is wrong where the
// program would refuse it.
func Declared(argv []string) (Options, error) {
	if len(argv) == 0 || !Known(argv[0]) {
		return Options{}, fmt.Errorf("no example program: %q", argv)
	}
	var given settings
	var err error
	args := argv[1:]
	switch argv[0] {
	case clientName:
		var c clientConfig
		c, _, err = parseClient(args)
		given = c.socketSettings()
	case serverName:
		var c serverConfig
		c, _, err = parseServer(args)
		given = c.settings
	case stubbornName:
		err = parseFlags(newFlags(stubbornName), args, 0)
	}
	if err != nil {
		return Options{}, fmt.Errorf("%s: %w", argv[0], err)
	}
	return given.declared(), nil
}

// ReadOptions reads the options of a TCP socket. What is not switched by being
// zero (KeepIdle, KeepIntvl, KeepCnt, SynCount) is what the kernel would use,
// whoever said so.
func ReadOptions(fd int) (Options, error) {
	var o Options
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return o, fmt.Errorf("getsockopt SO_DOMAIN: %w", err)
	}
	for _, one := range options() {
		if one.keep == nil {
			continue
		}
		v, err := one.get(fd, family)
		if err != nil {
			return Options{}, fmt.Errorf("getsockopt %s: %w", one.name, err)
		}
		one.keep(&o, v)
	}
	return o, nil
}

// Set lists those that are set, as -set takes them.
func (o Options) Set() []string {
	list := []string{}
	add := func(name string, d time.Duration) {
		if d > 0 {
			list = append(list, name+"="+d.String())
		}
	}
	if o.KeepAlive {
		list = append(list, "SO_KEEPALIVE=1")
		add("TCP_KEEPIDLE", o.KeepIdle)
		add("TCP_KEEPINTVL", o.KeepIntvl)
		if o.KeepCnt > 0 {
			list = append(list, fmt.Sprintf("TCP_KEEPCNT=%d", o.KeepCnt))
		}
	}
	add("TCP_USER_TIMEOUT", o.UserTimeout)
	add("SO_RCVTIMEO", o.ReceiveTimeout)
	add("SO_SNDTIMEO", o.SendTimeout)
	if o.RecvErr {
		list = append(list, "IP_RECVERR=1")
	}
	return list
}

// has tells whether an option was set.
func (s settings) has(name string) bool {
	return slices.ContainsFunc(s, func(one setting) bool { return one.option.name == name })
}

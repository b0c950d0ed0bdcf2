package record_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// resolveSchema is the committed schema, ready to validate.
func resolveSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(record.JSONSchema(), &s); err != nil {
		t.Fatal("read schema:", err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal("resolve schema:", err)
	}
	return r
}

// example is a record in which every list and every optional part is filled.
func example() *record.Record {
	held := true
	event := func(s record.Source, kind string) record.Event {
		return record.Event{Time: 5, Host: "client", Source: s, Kind: kind, PID: 9, TID: 10, Comm: "echo-client", Boot: 1, Text: "words"}
	}
	packet := event(record.Wire, record.KindOut)
	packet.Packet = &record.Packet{
		Proto: "tcp", Src: "10.0.0.1:4711", Dst: "10.0.0.2:9998", Flags: record.FlagPSH | record.FlagACK,
		Seq: 1, Ack: 2, Window: 64, Len: 6, Probe: true, Fate: record.FateArrived, Transit: 7, SrcMAC: "02:00:00:00:00:01",
	}
	arp := event(record.Wire, record.KindIn)
	arp.Packet = &record.Packet{Proto: "arp", Src: "10.0.0.1", Dst: "10.0.0.2", ARP: record.ARPReply, ICMPType: 3, ICMPCode: 1}
	neighbour := event(record.Wire, record.KindIn)
	neighbour.Packet = &record.Packet{Proto: "icmpv6", Src: "fd00::1", Dst: "ff02::1:ff00:2", ICMPType: 135, Target: "fd00::2"}
	carrier := event(record.Wire, record.KindCarrier)
	carrier.Link = record.LinkDown
	state := event(record.Socket, record.KindState)
	state.State = &record.State{Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", From: "SYN_RECV", To: "ESTABLISHED", Cwnd: 10, Sock: 1}
	table := event(record.Socket, record.KindSnapshot)
	table.Sockets = []record.SocketRow{{
		Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", State: "ESTABLISHED", RecvQueue: 1, SendQueue: 2,
		Timer: "retransmit", Expires: 3, Retransmits: 4, Backoff: 5, RTO: 6, RTT: 7, RTTVar: 8, Cwnd: 10, Unacked: 1, Received: 10, Acked: 11, Inode: 9, PIDs: []int{14},
	}}
	empty := event(record.Socket, record.KindSnapshot) // a host without a socket
	tcp := event(record.TCP, record.KindRetransmit)
	tcp.TCP = &record.TCPEvent{
		Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", State: "ESTABLISHED", RTO: 1, Retransmits: 1, Backoff: 1, Cwnd: 1, Error: "EHOSTUNREACH", Sock: 1,
	}
	call := event(record.Syscall, record.KindCall)
	call.Syscall = &record.Call{
		Name: "read", FD: -1, Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", Arg: "a", Data: "d", Ret: -104, Error: "ECONNRESET", Duration: 1, Socket: true,
		Empty: true, Partial: true, Ready: []record.Ready{{FD: 3, Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", Events: "POLLIN|POLLHUP"}},
	}
	process := event(record.Process, record.KindSignal)
	process.Process = &record.ProcEvent{Parent: 8, Argv: []string{"x"}, Signal: "SIGTERM", Sender: 1, Status: 1}
	unseen := event(record.Process, record.KindUnseen)
	unseen.Process = &record.ProcEvent{}
	standby := event(record.Wire, record.KindIn)
	standby.Host, standby.Packet = "standby", packet.Packet
	heal := event(record.Fault, "heal")
	heal.Host = ""
	return &record.Record{
		Schema: record.Schema, Scenario: "crash", File: "x.lab", Title: "t", Outcome: record.NotAsExpected, Reasons: []string{"r"}, Command: "lab run crash", ByHand: true,
		Kernel: record.Kernel{Release: "6.1", Machine: "x86_64", HZ: 250}, Started: "2026-01-02T03:04:05.6Z", Duration: 1,
		Path: "switch", Family: 6, Delay: record.Delay{By: "netem", Time: 5, Loss: 0.05, Seed: 1}, Firewall: "drop", AnswerARP: true,
		Hosts: []record.Host{
			{Name: "client", Address: "10.0.0.1", MAC: "02:00:00:00:00:01", Interface: "eth0"},
			{Name: "server", Address: "fd00::2", MAC: "02:00:00:00:00:02"},
			{Name: "standby", Address: "fd00::3", MAC: "02:00:00:00:00:03"},
		},
		Timers:      "quick",
		Sysctls:     map[string]map[string]string{"client": {"net.ipv4.tcp_retries2": "5"}, "server": {}, "router": {}, "standby": {}},
		Changed:     []string{"c"},
		Fault:       record.FaultInfo{Kind: "crash", Host: "server", Time: 3, Back: 4, PID: 14, Unread: 6},
		Later:       []record.FaultInfo{{Kind: "power-off", Host: "server", Time: 5}},
		Demand:      &record.Demand{Server: []string{"s"}, Client: []string{"c"}, When: "idle:2s", Expect: "ETIMEDOUT", Within: 5},
		Connections: []record.Connection{{Local: "10.0.0.1:4711", Remote: "10.0.0.2:9998", PID: 9, Options: []string{"SO_KEEPALIVE"}, Cwnd: 10}},
		Actions:     []record.Action{{Kind: record.ActExit, PID: 9, Time: 10, AfterFault: 7, AfterTold: 1, What: "exit 1"}},
		Detection: record.Detection{
			Host: "client", PID: 9, Syscall: "read", Error: "ETIMEDOUT", Time: 9, AfterFault: 6, AfterWrite: 5, AfterHeard: 7, Blocked: 4, Events: "POLLIN|POLLHUP",
		},
		Prediction: record.Prediction{
			Model: "silence", Error: "ETIMEDOUT", Errors: []string{"ETIMEDOUT", "EHOSTUNREACH"}, Min: 1, Max: 2, From: "write", Tolerance: 1,
			Decider: "d", Why: "w", Sends: []record.PredictedSend{{Kind: "tlp", Min: 1, Max: 2}}, SilentSends: 6, Held: &held,
		},
		Signature:    record.Signature{OK: true, Checks: []record.Check{{Name: "n", OK: true, Unknown: true, Seen: "s"}}},
		Expectations: []record.Expectation{{What: "w", Place: "x.lab:3", OK: true, Unknown: true, Optional: true, Actual: "a", After: 1, Within: 2, Time: 1}},
		Programs:     []record.Program{{Host: "client", Name: "client", Argv: []string{"echo-client"}, PID: 9, Own: true, User: "nobody", Exit: -1, Signal: "SIGKILL", Ended: 11, Running: true}},
		Missing:      []record.Missing{{Observer: "ebpf", Why: "w", Cost: "c"}},
		Neighbours: []record.Neighbour{
			{Node: "client", Address: "10.0.0.2", MAC: "02:00:00:00:00:02", State: "REACHABLE"},
			{Node: "router", Address: "10.0.1.2", State: "FAILED"},
		},
		LeftOut: 2, Spared: record.Spared{Calls: 7, Segments: 8, Rest: 9},
		Why: []string{"w"}, Next: []string{"n"},
		Events: []record.Event{
			packet, arp, carrier, state, table, empty, tcp, call, process,
			unseen, event(record.Fault, "crash"), event(record.Step, "type"), event(record.Output, record.KindStdout), neighbour, standby, heal,
		},
	}
}

// generic is what a reader of the file gets.
func generic(t *testing.T, r *record.Record) map[string]any {
	t.Helper()
	var buf bytes.Buffer
	if err := r.Write(&buf); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSchemaTakesRecord(t *testing.T) {
	if err := resolveSchema(t).Validate(generic(t, example())); err != nil {
		t.Error(err)
	}
}

// Without a fault, a detection, and all that is left out when it is empty.
func TestSchemaTakesRecordOfNothing(t *testing.T) {
	r := example()
	r.Outcome, r.Started, r.Duration = record.Inconclusive, "", 0
	r.Family, r.Delay, r.Firewall, r.Hosts = 4, record.Delay{}, "", r.Hosts[:2]
	r.Fault, r.Signature = record.FaultInfo{}, record.Signature{Checks: []record.Check{}}
	r.Detection = record.Detection{AfterFault: -1, AfterWrite: -1, AfterHeard: -1}
	r.Later, r.Connections, r.Actions = []record.FaultInfo{}, []record.Connection{}, []record.Action{}
	r.Prediction = record.Prediction{}
	r.Reasons, r.Changed, r.Why, r.Next = []string{}, []string{}, []string{}, []string{}
	r.Expectations, r.Programs, r.Missing = []record.Expectation{}, []record.Program{}, []record.Missing{}
	r.Neighbours, r.Events = []record.Neighbour{}, []record.Event{}
	if err := resolveSchema(t).Validate(generic(t, r)); err != nil {
		t.Error(err)
	}
}

func TestSchemaRefusesMutants(t *testing.T) {
	s := resolveSchema(t)
	object := func(m map[string]any, key string) map[string]any { return m[key].(map[string]any) }
	first := func(m map[string]any, key string) map[string]any { return m[key].([]any)[0].(map[string]any) }
	ofSource := func(m map[string]any, source record.Source) map[string]any {
		for _, e := range m["events"].([]any) {
			if e := e.(map[string]any); e["source"] == string(source) {
				return e
			}
		}
		t.Fatalf("no event of %s", source)
		return nil
	}
	for name, mutate := range map[string]func(m map[string]any){
		"another version":               func(m map[string]any) { m["schema"] = "lab-record/0" },
		"unknown outcome":               func(m map[string]any) { m["outcome"] = "green" },
		"unknown path":                  func(m map[string]any) { m["path"] = "tunnel" },
		"unknown family":                func(m map[string]any) { m["family"] = 5.0 },
		"unknown firewall":              func(m map[string]any) { m["firewall"] = "brick" },
		"all is lost":                   func(m map[string]any) { object(m, "delay")["loss"] = 1.0 },
		"negative delay":                func(m map[string]any) { object(m, "delay")["ns"] = -1.0 },
		"expectation from nowhere":      func(m map[string]any) { first(m, "expectations")["place"] = "x.lab" },
		"model in words":                func(m map[string]any) { object(m, "prediction")["model"] = "a model" },
		"fault of no host":              func(m map[string]any) { object(m, "fault")["host"] = "router" },
		"null for a list":               func(m map[string]any) { m["expectations"] = nil },
		"null for an object":            func(m map[string]any) { m["sysctls"] = nil },
		"number for a string":           func(m map[string]any) { m["title"] = 1.0 },
		"fraction of a nanosecond":      func(m map[string]any) { m["duration_ns"] = 1.5 },
		"negative duration":             func(m map[string]any) { m["duration_ns"] = -1.0 },
		"local time":                    func(m map[string]any) { m["started"] = "2026-01-02 03:04:05" },
		"unknown node of a sysctl":      func(m map[string]any) { object(m, "sysctls")["bystander"] = map[string]any{} },
		"sysctl of another kind":        func(m map[string]any) { object(object(m, "sysctls"), "client")["kernel.hostname"] = "x" },
		"unknown fault":                 func(m map[string]any) { object(m, "fault")["kind"] = "sabotage" },
		"error in words":                func(m map[string]any) { object(m, "detection")["error"] = "timed out" },
		"prediction from nowhere":       func(m map[string]any) { object(m, "prediction")["from"] = "start" },
		"unknown kind of a send":        func(m map[string]any) { first(object(m, "prediction"), "sends")["kind"] = "gossip" },
		"exit status of no program":     func(m map[string]any) { first(m, "programs")["exit"] = 256.0 },
		"signal by number":              func(m map[string]any) { first(m, "programs")["signal"] = "9" },
		"one host":                      func(m map[string]any) { m["hosts"] = m["hosts"].([]any)[:1] },
		"unknown source":                func(m map[string]any) { first(m, "events")["source"] = "gossip" },
		"packet's kind at a socket":     func(m map[string]any) { ofSource(m, record.Socket)["kind"] = record.KindOut },
		"socket's kind on the wire":     func(m map[string]any) { ofSource(m, record.Wire)["kind"] = record.KindState },
		"unknown kind of a step":        func(m map[string]any) { ofSource(m, record.Step)["kind"] = "step" },
		"packet without its packet":     func(m map[string]any) { delete(ofSource(m, record.Wire), "packet") },
		"state without its state":       func(m map[string]any) { delete(ofSource(m, record.Socket), "state") },
		"call without its call":         func(m map[string]any) { delete(ofSource(m, record.Syscall), "syscall") },
		"fault without words":           func(m map[string]any) { delete(ofSource(m, record.Fault), "text") },
		"packet of a process":           func(m map[string]any) { ofSource(m, record.Process)["packet"] = first(m, "events")["packet"] },
		"unknown state of a link":       func(m map[string]any) { m["events"].([]any)[2].(map[string]any)["link"] = "sideways" },
		"carrier without its state":     func(m map[string]any) { delete(m["events"].([]any)[2].(map[string]any), "link") },
		"link's state of a packet":      func(m map[string]any) { first(m, "events")["link"] = "up" },
		"unknown state of a neighbour":  func(m map[string]any) { first(m, "neighbours")["state"] = "FRIENDLY" },
		"unknown fate":                  func(m map[string]any) { object(first(m, "events"), "packet")["fate"] = "eaten" },
		"flags of another byte":         func(m map[string]any) { object(first(m, "events"), "packet")["flags"] = 32.0 },
		"sequence number above 32 bits": func(m map[string]any) { object(first(m, "events"), "packet")["seq"] = 4294967296.0 },
		"state in netstat's spelling":   func(m map[string]any) { object(ofSource(m, record.Socket), "state")["to"] = "SYN-SENT" },
		"address without a port":        func(m map[string]any) { object(ofSource(m, record.Socket), "state")["local"] = "10.0.0.1" },
		"system call in capitals":       func(m map[string]any) { object(ofSource(m, record.Syscall), "syscall")["name"] = "READ" },
	} {
		t.Run(name, func(t *testing.T) {
			m := generic(t, example())
			mutate(m)
			if err := s.Validate(m); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// Every object of the example, once with a property too many and once without
// each of those that are required.
func TestSchemaIsClosed(t *testing.T) {
	s := resolveSchema(t)
	whole := generic(t, example())
	objects := 0
	visit(whole, func(o map[string]any, where string) {
		if strings.HasPrefix(where, ".sysctls.") || strings.Count(where, "[") > 0 && !strings.Contains(where, "[0]") && !strings.HasPrefix(where, ".events") {
			return // a map, or an element like the first
		}
		objects++
		o["surplus"] = true
		if err := s.Validate(whole); err == nil {
			t.Errorf("%s accepts a property that nobody knows", where)
		}
		delete(o, "surplus")
	})
	if objects < 20 {
		t.Errorf("only %d objects visited", objects)
	}
	required := map[string]bool{}
	for _, name := range jsonNames(reflect.TypeFor[record.Record](), true) {
		required[name] = true
	}
	for name := range required {
		kept := whole[name]
		delete(whole, name)
		if err := s.Validate(whole); err == nil {
			t.Errorf("accepts a record without %s", name)
		}
		whole[name] = kept
	}
}

func visit(v any, f func(o map[string]any, where string)) {
	var walk func(v any, where string)
	walk = func(v any, where string) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key], where+"."+key)
			}
			f(v, where)
		case []any:
			for i, x := range v {
				index := "[n]"
				if i == 0 {
					index = "[0]"
				}
				walk(x, where+index)
			}
		}
	}
	walk(v, "")
}

// The schema and the Go structs name the same properties, ask for the same
// ones, and mean the same types.
func TestSchemaFollowsStructs(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(record.JSONSchema(), &root); err != nil {
		t.Fatal(err)
	}
	defs := root["$defs"].(map[string]any)
	used := map[string]bool{}
	var compare func(where string, typ reflect.Type, node map[string]any)
	compare = func(where string, typ reflect.Type, node map[string]any) {
		for node["$ref"] != nil {
			name := strings.TrimPrefix(node["$ref"].(string), "#/$defs/")
			used[name] = true
			node = defs[name].(map[string]any)
		}
		want := ""
		switch typ.Kind() {
		case reflect.Pointer:
			compare(where, typ.Elem(), node)
			return
		case reflect.Struct:
			want = "object"
			properties := node["properties"].(map[string]any)
			if diff := cmp.Diff(jsonNames(typ, false), slices.Sorted(maps.Keys(properties))); diff != "" {
				t.Errorf("%s: properties (-struct +schema):\n%s", where, diff)
			}
			required := []string{}
			for _, name := range node["required"].([]any) {
				required = append(required, name.(string))
			}
			slices.Sort(required)
			if diff := cmp.Diff(jsonNames(typ, true), required); diff != "" {
				t.Errorf("%s: required (-struct +schema):\n%s", where, diff)
			}
			if node["additionalProperties"] != false {
				t.Errorf("%s: additional properties are allowed", where)
			}
			for i := range typ.NumField() {
				name, _ := jsonName(typ.Field(i))
				if p, ok := properties[name].(map[string]any); ok {
					compare(where+"."+name, typ.Field(i).Type, p)
				}
			}
		case reflect.Slice:
			want = "array"
			compare(where+"[]", typ.Elem(), node["items"].(map[string]any))
		case reflect.Map:
			want = "object"
			if inner, ok := node["additionalProperties"].(map[string]any); ok {
				compare(where+".*", typ.Elem(), inner)
			} else { // a map of which the keys are known
				for name, p := range node["properties"].(map[string]any) {
					compare(where+"."+name, typ.Elem(), p.(map[string]any))
				}
			}
		case reflect.String:
			if _, constant := node["const"].(string); constant {
				return
			}
			want = "string"
		case reflect.Bool:
			want = "boolean"
		case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
			want = "integer"
		case reflect.Float64:
			want = "number"
		default:
			t.Errorf("%s: a %s", where, typ)
		}
		if node["type"] != want {
			t.Errorf("%s: type %v, the struct has %s", where, node["type"], typ)
		}
	}
	compare("record", reflect.TypeFor[record.Record](), root)
	for name := range defs {
		if !used[name] {
			t.Errorf("definition %s is not used", name)
		}
	}
}

// The enumerations of the schema are the constants.
func TestSchemaFollowsConstants(t *testing.T) {
	var root struct {
		Properties struct {
			Outcome struct{ Enum []string }
		}
		Defs struct {
			Fault struct {
				Properties struct{ Kind struct{ Enum []string } }
			}
			Event struct {
				Properties struct{ Source, Kind struct{ Enum []string } }
			}
			Packet struct {
				Properties struct{ ARP, Fate struct{ Enum []string } }
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(record.JSONSchema(), &root); err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, k := range scenarios.FaultKinds() {
		faults = append(faults, k.Name)
		if !slices.Contains(root.Defs.Event.Properties.Kind.Enum, k.Name) {
			t.Errorf("no event is of the kind %s", k.Name)
		}
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"fault", root.Defs.Fault.Properties.Kind.Enum, append(faults, "zero", "")},
		{"outcome", root.Properties.Outcome.Enum, []string{string(record.AsExpected), string(record.NotAsExpected), string(record.Inconclusive)}},
		{"source", root.Defs.Event.Properties.Source.Enum, []string{
			string(record.Wire), string(record.Socket), string(record.TCP), string(record.Syscall),
			string(record.Process), string(record.Fault), string(record.Step), string(record.Output),
		}},
		{"arp", root.Defs.Packet.Properties.ARP.Enum, []string{record.ARPRequest, record.ARPReply}},
		{"fate", root.Defs.Packet.Properties.Fate.Enum, []string{record.FateArrived, record.FateLost, record.FateAnswered}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-constants +schema):\n%s", c.what, diff)
		}
	}
}

// jsonName is a field's name in the file, "" if it is not stored.
func jsonName(f reflect.StructField) (name string, optional bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return "", true
	}
	return name, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
}

// jsonNames are a struct's names, sorted; of those that are always there if
// required.
func jsonNames(typ reflect.Type, required bool) []string {
	names := []string{}
	for i := range typ.NumField() {
		name, optional := jsonName(typ.Field(i))
		if name == "" && !optional {
			name = "(" + typ.Field(i).Name + " has no json tag)"
		}
		if name != "" && !(required && optional) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

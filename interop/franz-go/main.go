// What a Kafka cluster has to get right for franz-go, one scenario at a time: interop-franz-go SCENARIO BOOTSTRAP.
//
// The scenarios have the same names and the same meaning as those of interop/rdkafka; `cargo xtask interop` runs both. A
// scenario that passes says nothing. One that fails ends with status 1, and its reason is the last line on stderr.
package main

import (
	"fmt"
	"os"
	"strings"
)

var scenarios = map[string]func(*target) error{
	"codecs":               codecs,
	"group-range":          groupRange,
	"group-cooperative":    groupCooperative,
	"group-static":         groupStatic,
	"group-consumer":       groupConsumer,
	"group-consumer-regex": groupConsumerRegex,
	"transactions":         commitAndAbort,
	"transaction-offsets":  transactionOffsets,
	"transaction-fencing":  fencing,
	"admin-topics":         adminTopics,
	"admin-groups":         adminGroups,
	"admin-offsets":        adminOffsets,
	"sasl-plain":           saslPlain,
	"sasl-scram-256":       saslScram256,
	"sasl-scram-512":       saslScram512,
	"broker-loss":          brokerLoss,
	"broker-loss-group":    brokerLossGroup,
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: interop-franz-go SCENARIO BOOTSTRAP [USER PASSWORD]")
		os.Exit(2)
	}
	scenario, known := scenarios[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "there is no scenario", os.Args[1])
		os.Exit(2)
	}
	if err := scenario(newTarget(os.Args[2], os.Args[3:])); err != nil {
		// One line, whatever is in it.
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func saslPlain(t *target) error {
	return login(t, func(user, password string) sasl.Mechanism {
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	})
}

func saslScram256(t *target) error {
	return login(t, func(user, password string) sasl.Mechanism {
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	})
}

func saslScram512(t *target) error {
	return login(t, func(user, password string) sasl.Mechanism {
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	})
}

// The right password opens the cluster, a wrong one gives an authentication error.
func login(t *target, mechanism func(user, password string) sasl.Mechanism) error {
	if len(t.login) != 2 {
		return errors.New("logging in takes a user and a password")
	}
	writer, err := t.writer(kgo.SASL(mechanism(t.login[0], t.login[1])))
	if err != nil {
		return err
	}
	defer writer.Close()
	writer.send("logins", text(0, "hello"))
	if _, err := writer.finish(); err != nil {
		return err
	}
	stranger, err := t.client(kgo.SASL(mechanism(t.login[0], "not this one")))
	if err != nil {
		return err
	}
	defer stranger.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return refused("a wrong password", stranger.Ping(ctx), kerr.SaslAuthenticationFailed)
}

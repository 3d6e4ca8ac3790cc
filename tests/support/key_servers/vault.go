// HashiCorp Vault itself, for tests: its core, its HTTP API and its transit engine, with storage in memory and one unseal key.
// It says its address, its root token and that key, and serves until it is killed.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"

	log "github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/testhelpers/corehelpers"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	logger := log.NewNullLogger()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	core := must(vault.NewCore(&vault.CoreConfig{
		Physical:        must(inmem.NewInmem(nil, logger)),
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory},
		BuiltinRegistry: corehelpers.NewMockBuiltinRegistry(),
		DisableMlock:    true,
		Logger:          logger,
		RedirectAddr:    "http://" + listener.Addr().String(),
	}))
	one := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, StoredShares: 1}
	made := must(core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: one, RecoveryConfig: one}))
	must(core.Unseal(made.SecretShares[0]))
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	fmt.Println(listener.Addr(), made.RootToken, hex.EncodeToString(made.SecretShares[0]))
	panic(http.Serve(listener, handler))
}

// The transit engine of HashiCorp Vault behind the paths and the answers of Vault's HTTP API, for tests: no core, no seal, no policies.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	log "github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
)

const prefix = "/v1/transit/"

func main() {
	token, storage := os.Args[1], &logical.InmemStorage{}
	ctx := context.Background()
	system := logical.TestSystemView()
	backend, err := transit.Factory(ctx, &logical.BackendConfig{
		Logger: log.NewNullLogger(), System: system, StorageView: storage, Config: map[string]string{},
	})
	if err != nil {
		panic(err)
	}
	if err := backend.Initialize(ctx, &logical.InitializationRequest{Storage: storage}); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("X-Vault-Token") != token {
			refuse(w, 403, "permission denied")
			return
		}
		if !strings.HasPrefix(r.URL.Path, prefix) {
			refuse(w, 404, "no handler for route "+r.URL.Path)
			return
		}
		request := &logical.Request{Path: strings.TrimPrefix(r.URL.Path, prefix), Storage: storage, ID: "test"}
		request.Operation = logical.ReadOperation
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			request.Operation = logical.UpdateOperation
			if err := json.NewDecoder(r.Body).Decode(&request.Data); err != nil && r.ContentLength > 0 {
				refuse(w, 400, "error parsing JSON")
				return
			}
		}
		if r.Method == http.MethodDelete {
			request.Operation = logical.DeleteOperation
		}
		answer, err := backend.HandleRequest(r.Context(), request)
		if answer != nil && answer.IsError() {
			refuse(w, 400, answer.Error().Error())
			return
		}
		if err != nil {
			status := 500
			if errors.Is(err, logical.ErrUnsupportedPath) {
				status = 404
			} else if errors.Is(err, logical.ErrInvalidRequest) {
				status = 400
			}
			refuse(w, status, err.Error())
			return
		}
		if answer == nil {
			if request.Operation == logical.ReadOperation {
				refuse(w, 404)
				return
			}
			w.WriteHeader(204)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"data": answer.Data})
	})))
}

func refuse(w http.ResponseWriter, status int, said ...string) {
	w.WriteHeader(status)
	if said == nil {
		said = []string{}
	}
	json.NewEncoder(w).Encode(map[string]any{"errors": said})
}

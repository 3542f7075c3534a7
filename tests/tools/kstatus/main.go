// Says of each object of a list, read as JSON from standard input, what kstatus makes of it: a line of JSON for each.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var list unstructured.UnstructuredList
	if err := json.NewDecoder(os.Stdin).Decode(&list); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for i := range list.Items {
		result, err := status.Compute(&list.Items[i])
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]string{"status": string(result.Status), "message": result.Message}); err != nil {
			return err
		}
	}
	return nil
}

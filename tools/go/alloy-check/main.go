// alloy-check reads an Alloy configuration with Alloy's own parser and decodes each block into the arguments of its
// component. Components of Alloy itself cannot be imported, so the arguments are listed here as far as we set them
// (names and types: Alloy v1.5.1, internal/component); any other attribute or block is refused, and so is a reference
// to what the file does not declare.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/vm"
)

type strs = []string
type table = map[string]string

type logging struct {
	Level  string `alloy:"level,attr,optional"`
	Format string `alloy:"format,attr,optional"`
}

type events struct {
	LogFormat string `alloy:"log_format,attr,optional"`
	ForwardTo strs   `alloy:"forward_to,attr"`
}

type selectors struct {
	Role  string `alloy:"role,attr"`
	Field string `alloy:"field,attr,optional"`
}

type kubernetes struct {
	Role      string      `alloy:"role,attr"`
	Selectors []selectors `alloy:"selectors,block,optional"`
}

type rule struct {
	SourceLabels strs   `alloy:"source_labels,attr,optional"`
	Separator    string `alloy:"separator,attr,optional"`
	Regex        string `alloy:"regex,attr,optional"`
	TargetLabel  string `alloy:"target_label,attr,optional"`
	Replacement  string `alloy:"replacement,attr,optional"`
	Action       string `alloy:"action,attr,optional"`
}

type relabel struct {
	Targets   string `alloy:"targets,attr,optional"`
	ForwardTo strs   `alloy:"forward_to,attr,optional"`
	Rules     []rule `alloy:"rule,block,optional"`
}

type matches struct {
	PathTargets string `alloy:"path_targets,attr"`
}

type file struct {
	Targets   string `alloy:"targets,attr"`
	ForwardTo strs   `alloy:"forward_to,attr"`
}

type journal struct {
	Path         string `alloy:"path,attr,optional"`
	MaxAge       string `alloy:"max_age,attr,optional"`
	RelabelRules string `alloy:"relabel_rules,attr,optional"`
	Labels       table  `alloy:"labels,attr,optional"`
	ForwardTo    strs   `alloy:"forward_to,attr"`
}

type process struct {
	ForwardTo strs    `alloy:"forward_to,attr"`
	Stages    []stage `alloy:"stage,enum,optional"`
}

type values struct {
	Values strs `alloy:"values,attr"`
}

type stage struct {
	CRI *struct {
		MaxPartialLines            int    `alloy:"max_partial_lines,attr,optional"`
		MaxPartialLineSize         uint64 `alloy:"max_partial_line_size,attr,optional"`
		MaxPartialLineSizeTruncate bool   `alloy:"max_partial_line_size_truncate,attr,optional"`
	} `alloy:"cri,block,optional"`
	Match *struct {
		Selector string  `alloy:"selector,attr"`
		Stages   []stage `alloy:"stage,enum,optional"`
		Action   string  `alloy:"action,attr,optional"`
		Reason   string  `alloy:"drop_counter_reason,attr,optional"`
	} `alloy:"match,block,optional"`
	Multiline *struct {
		Expression string `alloy:"firstline,attr"`
		MaxLines   uint64 `alloy:"max_lines,attr,optional"`
		MaxWait    string `alloy:"max_wait_time,attr,optional"`
	} `alloy:"multiline,block,optional"`
	Replace *struct {
		Expression string `alloy:"expression,attr"`
		Replace    string `alloy:"replace,attr,optional"`
	} `alloy:"replace,block,optional"`
	JSON *struct {
		Expressions table `alloy:"expressions,attr"`
	} `alloy:"json,block,optional"`
	Template *struct {
		Source   string `alloy:"source,attr"`
		Template string `alloy:"template,attr"`
	} `alloy:"template,block,optional"`
	Output *struct {
		Source string `alloy:"source,attr"`
	} `alloy:"output,block,optional"`
	StaticLabels *struct {
		Values table `alloy:"values,attr"`
	} `alloy:"static_labels,block,optional"`
	LabelKeep *values `alloy:"label_keep,block,optional"`
	LabelDrop *values `alloy:"label_drop,block,optional"`
}

type write struct {
	ExternalLabels table `alloy:"external_labels,attr,optional"`
	Endpoints      []struct {
		URL        string `alloy:"url,attr"`
		BatchWait  string `alloy:"batch_wait,attr,optional"`
		BatchSize  string `alloy:"batch_size,attr,optional"`
		MinBackoff string `alloy:"min_backoff_period,attr,optional"`
		MaxBackoff string `alloy:"max_backoff_period,attr,optional"`
		Retries    int    `alloy:"max_backoff_retries,attr,optional"`
		Retry429   bool   `alloy:"retry_on_http_429,attr,optional"`
		BasicAuth  *struct {
			Username     string `alloy:"username,attr,optional"`
			PasswordFile string `alloy:"password_file,attr,optional"`
		} `alloy:"basic_auth,block,optional"`
	} `alloy:"endpoint,block"`
}

// What another block may refer to, by component.
var exports = map[string]string{
	"discovery.kubernetes": "targets", "discovery.relabel": "output", "local.file_match": "targets",
	"loki.process": "receiver", "loki.write": "receiver", "loki.relabel": "rules",
}

func arguments(name string) any {
	switch name {
	case "logging":
		return &logging{}
	case "loki.source.kubernetes_events":
		return &events{}
	case "loki.source.file":
		return &file{}
	case "loki.source.journal":
		return &journal{}
	case "loki.process":
		return &process{}
	case "loki.write":
		return &write{}
	case "loki.relabel", "discovery.relabel":
		return &relabel{}
	case "discovery.kubernetes":
		return &kubernetes{}
	case "local.file_match":
		return &matches{}
	}
	return nil
}

func check(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(path, content)
	if err != nil {
		return err
	}
	variables := map[string]any{"sys": map[string]any{"env": func(name string) string { return name }}}
	for _, statement := range parsed.Body {
		if block, ok := statement.(*ast.BlockStmt); ok && exports[strings.Join(block.Name, ".")] != "" {
			at := variables
			for _, part := range append(append([]string{}, block.Name...), block.Label) {
				if at[part] == nil {
					at[part] = map[string]any{}
				}
				at = at[part].(map[string]any)
			}
			at[exports[strings.Join(block.Name, ".")]] = "reference"
		}
	}
	for _, statement := range parsed.Body {
		block, ok := statement.(*ast.BlockStmt)
		if !ok {
			return fmt.Errorf("%s: an attribute outside of a block", path)
		}
		into := arguments(strings.Join(block.Name, "."))
		if into == nil {
			return fmt.Errorf("%s: component %s is not known", path, strings.Join(block.Name, "."))
		}
		if err := vm.New(block.Body).Evaluate(&vm.Scope{Variables: variables}, into); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: alloy-check FILE")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

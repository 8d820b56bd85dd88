package runtime

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Messages of ONNX Runtime that have a way out.
var (
	newerIR    = regexp.MustCompile(`Unsupported model IR version: (\d+), max supported IR version: (\d+)`)
	newerOpset = regexp.MustCompile(`Opset (\d+) is under development .*?domain (\S+) is till opset (\d+)`)
	noOperator = regexp.MustCompile(`No Op registered for (\S+) with domain_version of (\d+)`)
	noFunction = regexp.MustCompile(`(\S+?):(\w+)\(-?\d+\) is not a registered function/op`)
	noKernel   = regexp.MustCompile(`Could not find an implementation for (\w+)\((\d+)\) node`)
	scalar     = regexp.MustCompile(`Invalid tensor shape: The shape has no dimensions`)
	invalid    = regexp.MustCompile(`^(?:Fatal error: |This is an invalid model\. (?:Error: )?|Invalid model\. |Missing (?:opset|model IR)|.*\[ShapeInferenceError\] )`)
	preamble   = regexp.MustCompile(`^(?:Fatal error: |This is an invalid model\. |Invalid model\. )`)
)

// explained is the sentence for a message of ONNX Runtime, or an empty text.
func explained(message string) string {
	library := "this ONNX Runtime"
	if v := Loaded().Version; v != "" {
		library = "ONNX Runtime " + v
	}
	const way = "export it for an older one, or give a newer library with --ort-lib"
	if m := newerIR.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("its format is of IR version %s, and %s reads up to %s: %s", m[1], library, m[2], way)
	}
	if m := newerOpset.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("its operators are of opset %s of %s, and %s knows up to %s: %s", m[1], m[2], library, m[3], way)
	}
	const standard = "export it with operators of standard ONNX, or give a newer library with --ort-lib"
	if m := noOperator.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("its operator %s is not in opset %s as %s has it: %s", m[1], m[2], library, standard)
	}
	if m := noFunction.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("its operator %s of %s is not in %s: %s", m[2], m[1], library, standard)
	}
	if m := noKernel.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%s has nothing to run its operator %s (opset %s) with on values of such types: export it in float32, or give another library with --ort-lib", library, m[1], m[2])
	}
	if scalar.MatchString(message) {
		return "one of its tensors that are read is a scalar, one number for all images of a run, such as a loss or a mean: name the tensor with the class scores by --output, or export the model with it as an output"
	}
	return ""
}

// where matches a place in the library's source, which helps nobody here.
var where = regexp.MustCompile(`(?:^|\s)\S+\.(?:cc|h|hpp|cpp|c):\d+ `)

// unplaced takes places in the library's source out of a message: a file with a line, and the
// signature of a function that follows it.
func unplaced(s string) string {
	for {
		at := where.FindStringIndex(s)
		if at == nil {
			return strings.TrimSpace(s)
		}
		s = s[:at[0]] + " " + condition.ReplaceAllString(unsigned(s[at[1]:]), "")
	}
}

// condition is what a check of the library was about, before what it says.
var condition = regexp.MustCompile(`^.{1,200}? was false\. `)

// unsigned takes a function at the beginning out of a message: a signature of C++, whose
// parentheses are followed to the one that closes them, or a bare name.
func unsigned(s string) string {
	open := strings.IndexByte(s, '(')
	if open >= 0 && strings.Contains(s[:open], "::") {
		depth := 0
		for i := open; i < len(s); i++ {
			switch s[i] {
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return strings.TrimPrefix(strings.TrimPrefix(s[i+1:], " const"), " ")
				}
			}
		}
		return s
	}
	name, rest, ok := strings.Cut(s, " ")
	if ok && (name == "operator()" || function.MatchString(name)) {
		return rest
	}
	return s
}

// function is a name as the library's functions have: two capitals or more, no space.
var function = regexp.MustCompile(`^[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+$`)

// status is what the library puts before its messages.
var status = regexp.MustCompile(`\[ONNXRuntimeError\] : \d+ : \w+ : `)

// clean turns the C library's many-line messages into one line.
func clean(err error) error {
	s := err.Error()
	for _, prefix := range []string{
		"Error running network: ", "Error creating C session from file: ", "Error creating C session: ",
		"Platform-specific initialization failed: ",
	} {
		s = strings.TrimPrefix(s, prefix)
	}
	s = strings.Join(strings.Fields(s), " ")
	if e := explained(s); e != "" {
		return errors.New(e)
	}
	s = status.ReplaceAllString(unplaced(s), "")
	if invalid.MatchString(s) {
		s = "its graph is not valid, so export it again: " + preamble.ReplaceAllString(s, "")
	}
	if len(s) > 400 {
		s = s[:400] + " …"
	}
	return errors.New(s)
}

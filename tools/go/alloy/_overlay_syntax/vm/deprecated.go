package vm

// IsDeprecated says whether a function of the language is to be used no more. Alloy asks it only to warn. The published
// module of its language lacks it; Alloy itself is built with the folder beside it.
func (*Scope) IsDeprecated(string) bool { return false }

package page

// A Claim is a sentence of the source, held against the run.
type Claim struct {
	ID, Says string
	Status   string // confirmed, differs, inconclusive; "" if Needs is not empty
	Known    bool   // that is how Linux is known to be
	Seen     string // what the kernel did
	Why      string // why that differs, if it does and it is known
	// Needs are the scenarios without whose records nothing can be said.
	Needs []string
}

// claimsOf are the claims as they are shown.
func claimsOf(claims []Claim) []Claim {
	var shown []Claim
	for _, c := range claims {
		shown = append(shown, Claim{
			ID: bounded(c.ID, maxText), Says: bounded(c.Says, maxText), Status: bounded(c.Status, maxText), Known: c.Known,
			Seen: bounded(c.Seen, maxText), Why: bounded(c.Why, maxText), Needs: all(c.Needs),
		})
	}
	return shown
}

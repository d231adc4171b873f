package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// validatorOps are the commands about who decides.
func validatorOps() []*cobra.Command {
	return []*cobra.Command{
		newValidatorInit(), newValidatorJoin(), newValidatorAdd(), newValidatorRemove(), newValidatorRotate(), newValidatorStatus(),
	}
}

// defaultPower is that of the validators that mtm init makes.
const defaultPower = 10

func newValidatorInit() *cobra.Command {
	var (
		home   string
		o      testnet.JoinOptions
		remote remoteKey
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "init", Short: "Make the folder of an organisation that wants to join a ledger",
		Long: `Makes the keys of an organisation and of its validator, a node that follows the ledger
of the genesis, and a request to be admitted, which a member proposes. The node
decides nothing before the members voted for it.`,
		Example: `  mtm validator init --home d --organisation "Works D" --genesis genesis.json --peers ID@HOST:PORT
  mtm org admit --home a --request d/request.json --propose      # a member; the others approve
  mtm validator run --home d &
  mtm validator join --home d                                    # then the members approve`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := remote.into(&o.Node); err != nil {
				return err
			}
			return joinHome(cmd, home, o, asJSON)
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	remote.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Genesis, "genesis", "", "file with the ledger's genesis: validators/0/config/genesis.json of a member")
	f.StringVar(&o.Organisation, "organisation", "", "name of the organisation")
	f.StringSliceVar(&o.Peers, "peers", nil, "ID@HOST:PORT of members' nodes (mtm validator status)")
	f.StringVar(&o.MQTT, "mqtt", "", "host:port of the embedded broker (default: a free port on loopback)")
	return cmd
}

// joinHome makes the folder of mtm validator init.
func joinHome(cmd *cobra.Command, home string, o testnet.JoinOptions, asJSON bool) error {
	if o.Genesis == "" || o.Organisation == "" || len(o.Peers) == 0 {
		return usagef("--genesis, --organisation and --peers are required")
	}
	m, err := testnet.Join(home, o)
	if errors.Is(err, testnet.ErrExists) {
		return withHint(err, "another --home")
	}
	if err != nil {
		return err
	}
	q, err := requestOf(m)
	if err != nil {
		return err
	}
	request := m.Path("request.json")
	if err := writeJSON(request, q); err != nil {
		return err
	}
	address, lines, err := signerLines(m.Path(m.Validators[0].Home), m.Chain)
	if err != nil {
		return err
	}
	shown := map[string]any{
		"home": home, "chain": m.Chain, "organisation": m.Organisation.ID, "validator_key": m.Validators[0].Key, "request": request,
	}
	if address != "" {
		shown["signer_address"] = address
	}
	return report(cmd, asJSON, shown, append([]string{
		fmt.Sprintf("organisation %s (%s) in %s, validator key %s", m.Organisation.Name, m.Organisation.ID, home, m.Validators[0].Key),
		fmt.Sprintf("give %s to a member: mtm org admit --request %s --propose", request, request),
		"next: mtm validator run --home " + home + "   and, once admitted, mtm validator join --home " + home}, lines...)...)
}

// powerSteps says what staysLive in package state demands.
const powerSteps = `In one block
less than a third of the voting power may go, and what is new must have less than
half of what stays, so that the others decide without it: beside one validator of
power 10 a second begins with 4 at most. More takes more votes (not_live), and each
counts on power that was added before only once the validator has signed a block with it
(mtm validator status).`

func newValidatorJoin() *cobra.Command {
	var (
		a     act
		name  string
		power uint64
	)
	cmd := &cobra.Command{
		Use: "join", Short: "Propose this folder's validator to the members",
		Long:    `Proposes this folder's validator, for the members to vote on. ` + powerSteps,
		Example: "  mtm validator join --home d --power 10",
	}
	a.flags(cmd)
	a.expires = proposalLife
	cmd.Flags().StringVar(&name, "validator", "0", "name of the validator in the manifest")
	cmd.Flags().Uint64Var(&power, "power", defaultPower, "voting power")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "", func(s *session) error {
			if s.m == nil {
				return usagef("--home must hold the validator")
			}
			v, err := s.m.Validator(name)
			if err != nil {
				return err
			}
			return s.proposeBody(cmd, ledger.SetValidator{Organisation: s.actor, Key: v.Key, Power: power})
		})
	}
	return cmd
}

func newValidatorAdd() *cobra.Command {
	var (
		organisation, key string
		power             uint64
	)
	cmd := &cobra.Command{
		Use: "add", Short: "Give a validator of an organisation its power, by vote",
		Long:    `Proposes the power that a validator has from two blocks after the vote on. ` + powerSteps,
		Example: `  mtm validator add --home a --organisation "Works D" --validator-key KEY --power 10 --propose`,
	}
	f := cmd.Flags()
	f.StringVar(&organisation, "organisation", "", "name or id of the organisation")
	f.StringVar(&key, "validator-key", "", "consensus key in base64")
	f.Uint64Var(&power, "power", defaultPower, "voting power")
	return operation(cmd, "organisation validator-key", func(s *session) (ledger.Body, error) {
		id, err := s.organisation(organisation)
		if err != nil {
			return nil, err
		}
		k, err := publicKeyFlag("validator-key", key)
		return ledger.SetValidator{Organisation: id, Key: k, Power: power}, err
	})
}

func newValidatorRemove() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "remove", Short: "Take a validator its power, by vote",
		Long:    `Proposes that a validator has no power any more. ` + powerSteps,
		Example: `  mtm validator remove --home a --validator-key KEY --propose`,
	}
	cmd.Flags().StringVar(&key, "validator-key", "", "consensus key in base64")
	return operation(cmd, "validator-key", func(s *session) (ledger.Body, error) {
		k, err := publicKeyFlag("validator-key", key)
		if err != nil {
			return nil, err
		}
		v, err := s.validator(k)
		return ledger.SetValidator{Organisation: v.Organisation, Key: k}, err
	})
}

// validator is the last that the records say of a validator.
func (s *session) validator(key crypto.PublicKey) (v record.Validator, err error) {
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{
		{Query: proof.AtQuery(record.FamilyValidator, ledger.ValidatorID(key), 0)}}})
	if err != nil {
		return v, err
	}
	if len(out.Results[0].Rows) == 0 {
		return v, ledger.CodeUnknownValidator.Err()
	}
	return record.ParseValidator(out.Results[0].Rows[0].Value)
}

// shownValidators is the JSON form of who decides.
type shownValidators struct {
	AsOf       uint64           `json:"as_of_height"`
	Total      uint64           `json:"power"`
	Validators []shownValidator `json:"validators"`
	Here       []hereValidator  `json:"here"` // of this folder
}

type shownValidator struct {
	Key          crypto.PublicKey `json:"key"`
	Organisation crypto.ID        `json:"organisation"`
	Power        uint64           `json:"power"`
	Untried      bool             `json:"untried"` // has not signed a block since it got this power
}

type hereValidator struct {
	Name  string           `json:"name"`
	Peer  string           `json:"peer"` // for others' --peers
	Key   crypto.PublicKey `json:"key"`
	Power uint64           `json:"power"` // 0: it follows and does not decide
}

func newValidatorStatus() *cobra.Command {
	var (
		a      act
		height uint64
	)
	cmd := &cobra.Command{
		Use: "status", Short: "Show which validators decide, proven, and this folder's among them",
		Example: `  mtm validator status --home ledger
  mtm validator status --home ledger --height 1 --json`,
	}
	a.readFlags(cmd)
	cmd.Flags().Uint64Var(&height, "height", 0, "as it was at this height (default: now)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.reading(cmd, "", func(s *session) error {
			shown, lines, err := s.showValidators(height)
			if err != nil {
				return err
			}
			return report(cmd, s.asJSON, shown, lines...)
		})
	}
	return cmd
}

func (s *session) showValidators(height uint64) (shown shownValidators, lines []string, err error) {
	q := client.AnswerRequest{Questions: []client.Question{{Query: proof.AtQuery(record.FamilyValidatorSet, crypto.ID{}, height)}}}
	if height == 0 {
		q.Questions = append(q.Questions, client.Question{Query: proof.ListQuery(record.FamilyRange(record.FamilyUntried))})
	}
	out, err := s.proven(0, q)
	if err != nil {
		return shown, nil, err
	}
	untried := make(map[crypto.ID]bool)
	for _, result := range out.Results[1:] {
		for _, row := range result.Rows {
			untried[record.IDOf(row.Key)] = true
		}
	}
	var set record.ValidatorSet
	if rows := out.Results[0].Rows; len(rows) > 0 {
		if set, err = record.ParseValidatorSet(rows[0].Value); err != nil {
			return shown, nil, err
		}
	}
	shown = shownValidators{AsOf: out.AsOfHeight, Total: set.Total(), Validators: []shownValidator{}, Here: []hereValidator{}}
	for _, v := range set.Validators {
		line := fmt.Sprintf("%s  organisation %s  power %d of %d", v.Key, v.Organisation, v.Power, shown.Total)
		unseen := untried[ledger.ValidatorID(v.Key)]
		if unseen {
			line += "  has not signed with it yet"
		}
		shown.Validators = append(shown.Validators, shownValidator{v.Key, v.Organisation, v.Power, unseen})
		lines = append(lines, line)
	}
	if s.m == nil {
		return shown, lines, nil
	}
	for _, v := range s.m.Validators {
		here := hereValidator{v.Name, v.NodeID + "@" + v.P2P, v.Key, set.Find(v.Key).Power}
		shown.Here = append(shown.Here, here)
		lines = append(lines, fmt.Sprintf("here: validator %s, peer %s, power %d", here.Name, here.Peer, here.Power))
	}
	return shown, lines, nil
}

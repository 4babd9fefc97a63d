"""The legal moves of a decision, by state and command.

``-`` is nothing to do; ``or`` separates what the same command may cause, depending on leases, votes, clocks and
policy, also at the beginning of a line that goes on; ``refused`` says that no one may, ever. Where events are
listed, guards may still refuse: who may not, what comes after the deadline, what the policy forbids.
``tests/domain/test_legal_moves.py`` walks it, and the diagram of ``docs/workflow.md`` is drawn from it.

    NotSubmitted  SubmitDecision      DecisionSubmitted
    NotSubmitted  ClaimDecision       refused DecisionNotFound
    NotSubmitted  RenewClaim          refused DecisionNotFound
    NotSubmitted  ReleaseClaim        refused DecisionNotFound
    NotSubmitted  OfferHandover       refused DecisionNotFound
    NotSubmitted  AcceptHandover      refused DecisionNotFound
    NotSubmitted  Assign              refused DecisionNotFound
    NotSubmitted  Reprioritise        refused DecisionNotFound
    NotSubmitted  CastVote            refused DecisionNotFound
    NotSubmitted  Escalate            refused DecisionNotFound
    NotSubmitted  PassMilestone       -
    NotSubmitted  Expire              -
    NotSubmitted  RequestInformation  refused DecisionNotFound
    NotSubmitted  ProvideInformation  refused DecisionNotFound
    NotSubmitted  Comment             refused DecisionNotFound
    NotSubmitted  AttachEvidence      refused DecisionNotFound
    NotSubmitted  Withdraw            refused DecisionNotFound
    NotSubmitted  Supersede           refused DecisionNotFound
    NotSubmitted  Cancel              refused DecisionNotFound
    NotSubmitted  Override            refused DecisionNotFound
    NotSubmitted  Countersign         refused DecisionNotFound
    NotSubmitted  LapseOverride       -
    NotSubmitted  Redeem              refused DecisionNotFound
    NotSubmitted  ReportOutcome       refused DecisionNotFound
    Pending       SubmitDecision      refused AlreadyExists
    Pending       ClaimDecision       DecisionClaimed
    Pending       RenewClaim          refused LeaseLost
    Pending       ReleaseClaim        refused LeaseLost or -
    Pending       OfferHandover       refused LeaseLost
    Pending       AcceptHandover      refused NothingOffered
    Pending       Assign              - or DecisionAssigned
    Pending       Reprioritise        - or DecisionReprioritised
    Pending       CastVote            VoteCast or VoteCast DecisionResolved
                                   or VoteCast DecisionEscalated VotesInvalidated
    Pending       Escalate            DecisionEscalated
    Pending       PassMilestone       - or MilestonePassed or MilestonePassed DecisionEscalated
    Pending       Expire              - or DecisionExpired
    Pending       RequestInformation  refused LeaseLost
    Pending       ProvideInformation  InformationProvided or InformationProvided VotesInvalidated
    Pending       Comment             CommentAdded
    Pending       AttachEvidence      EvidenceAttached
    Pending       Withdraw            DecisionWithdrawn
    Pending       Supersede           DecisionSuperseded
    Pending       Cancel              DecisionCancelled
    Pending       Override            DecisionOverridden
    Pending       Countersign         refused NothingToCountersign
    Pending       LapseOverride       -
    Pending       Redeem              refused NotApproved
    Pending       ReportOutcome       refused NotApproved
    InReview      SubmitDecision      refused AlreadyExists
    InReview      ClaimDecision       - or DecisionClaimed or ClaimReleased DecisionClaimed
    InReview      RenewClaim          ClaimRenewed
    InReview      ReleaseClaim        - or ClaimReleased
    InReview      OfferHandover       - or HandoverOffered
    InReview      AcceptHandover      ClaimReleased DecisionClaimed or ClaimReleased DecisionAssigned DecisionClaimed
    InReview      Assign              - or DecisionAssigned or ClaimReleased DecisionAssigned
    InReview      Reprioritise        - or DecisionReprioritised
    InReview      CastVote            VoteCast or VoteCast ClaimReleased or VoteCast DecisionResolved
                                   or VoteCast DecisionEscalated VotesInvalidated
                                   or VoteCast ClaimReleased DecisionEscalated VotesInvalidated
    InReview      Escalate            DecisionEscalated or ClaimReleased DecisionEscalated
    InReview      PassMilestone       - or MilestonePassed or MilestonePassed DecisionEscalated
                                   or MilestonePassed ClaimReleased DecisionEscalated
    InReview      Expire              - or DecisionExpired
    InReview      RequestInformation  InformationRequested
    InReview      ProvideInformation  InformationProvided or InformationProvided VotesInvalidated
    InReview      Comment             CommentAdded
    InReview      AttachEvidence      EvidenceAttached
    InReview      Withdraw            DecisionWithdrawn
    InReview      Supersede           DecisionSuperseded
    InReview      Cancel              DecisionCancelled
    InReview      Override            DecisionOverridden
    InReview      Countersign         refused NothingToCountersign
    InReview      LapseOverride       -
    InReview      Redeem              refused NotApproved
    InReview      ReportOutcome       refused NotApproved
    Resolved      SubmitDecision      refused AlreadyExists
    Resolved      ClaimDecision       refused AlreadyMade
    Resolved      RenewClaim          refused AlreadyMade
    Resolved      ReleaseClaim        refused AlreadyMade or -
    Resolved      OfferHandover       refused AlreadyMade
    Resolved      AcceptHandover      refused AlreadyMade
    Resolved      Assign              refused AlreadyMade
    Resolved      Reprioritise        refused AlreadyMade
    Resolved      CastVote            refused AlreadyMade
    Resolved      Escalate            refused AlreadyMade
    Resolved      PassMilestone       -
    Resolved      Expire              -
    Resolved      RequestInformation  refused AlreadyMade
    Resolved      ProvideInformation  refused AlreadyMade
    Resolved      Comment             CommentAdded
    Resolved      AttachEvidence      refused AlreadyMade
    Resolved      Withdraw            refused AlreadyMade
    Resolved      Supersede           refused AlreadyMade
    Resolved      Cancel              refused AlreadyMade
    Resolved      Override            refused AlreadyMade
    Resolved      Countersign         OverrideCountersigned
    Resolved      LapseOverride       - or OverrideLapsed
    Resolved      Redeem              ResponseRedeemed
    Resolved      ReportOutcome       OutcomeReported
    Closed        SubmitDecision      refused AlreadyExists
    Closed        ClaimDecision       refused DecisionClosed
    Closed        RenewClaim          refused DecisionClosed
    Closed        ReleaseClaim        refused DecisionClosed or -
    Closed        OfferHandover       refused DecisionClosed
    Closed        AcceptHandover      refused DecisionClosed
    Closed        Assign              refused DecisionClosed
    Closed        Reprioritise        refused DecisionClosed
    Closed        CastVote            refused DecisionClosed
    Closed        Escalate            refused DecisionClosed
    Closed        PassMilestone       -
    Closed        Expire              -
    Closed        RequestInformation  refused DecisionClosed
    Closed        ProvideInformation  refused DecisionClosed
    Closed        Comment             CommentAdded
    Closed        AttachEvidence      refused DecisionClosed
    Closed        Withdraw            refused DecisionClosed
    Closed        Supersede           refused DecisionClosed
    Closed        Cancel              refused DecisionClosed
    Closed        Override            refused DecisionClosed
    Closed        Countersign         refused NothingToCountersign
    Closed        LapseOverride       -
    Closed        Redeem              ResponseRedeemed
    Closed        ReportOutcome       OutcomeReported
"""

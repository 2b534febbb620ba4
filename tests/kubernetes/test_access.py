"""What the API server's refusals mean, and the Role that Flowerbed needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowerbed.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterImmutable,
    ClusterRefused,
    ClusterUnreachable,
)
from flowerbed.kubernetes import permissions
from flowerbed.kubernetes.access import Access, conflicts, denied, from_status
from flowerbed.kubernetes.permissions import CLUSTER_RULES, RULES, RUN_RULES

Object = dict[str, Any]

FORBIDDEN = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": 'deployments.apps is forbidden: User "system:serviceaccount:hospitals:ann" cannot list resource'
    ' "deployments" in API group "apps" in the namespace "hospitals"',
    "reason": "Forbidden",
    "details": {"group": "apps", "kind": "deployments"},
    "code": 403,
}
CONFLICT = {
    "status": "Failure",
    "message": "Apply failed with 3 conflicts: conflicts with …",
    "reason": "Conflict",
    "details": {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-edit" using apps/v1 at 2026-11-24T15:12:21Z',
                "field": ".spec.replicas",
            },
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-edit" using apps/v1 at 2026-11-24T15:12:21Z',
                "field": '.spec.template.spec.containers[name="supernode"].image',
            },
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "hpa" with subresource "scale" using autoscaling/v2',
                "field": ".spec.replicas",
            },
        ]
    },
    "code": 409,
}
IMMUTABLE = {
    "status": "Failure",
    "message": 'StatefulSet.apps "flower-hospital" is invalid: spec: Forbidden: updates to statefulset spec for fields'
    " other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit',"
    " 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    "reason": "Invalid",
    "details": {
        "name": "flower-hospital",
        "group": "apps",
        "kind": "StatefulSet",
        "causes": [{"reason": "FieldValueForbidden", "message": "Forbidden: updates to …", "field": "spec"}],
    },
    "code": 422,
}


def cannot(user: str, verb: str, resource: str, where: str) -> str:
    """Return the API server's sentence about a resource of the core group."""
    return f'{resource} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "" {where}'


class TestForbidden:
    def test_who_may_not_do_what_where(self) -> None:
        user = "system:serviceaccount:hospitals:ann"
        assert denied(str(FORBIDDEN["message"])) == Access("list", "deployments", "apps", "hospitals", user)

    def test_in_a_sentence_with_the_role_that_would_do(self) -> None:
        error = from_status(FORBIDDEN, doing="listing Deployments")
        assert isinstance(error, ClusterForbidden)
        assert error.message == (
            "the user system:serviceaccount:hospitals:ann may not list deployments.apps in the namespace hospitals"
            " (listing Deployments)"
        )
        role, binding = error.role
        assert role["metadata"] == {"name": "flowerbed", "namespace": "hospitals"}
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ann", "namespace": "hospitals"}]
        assert error.as_dict()["role"] == error.role

    def test_the_role_stands_in_the_hint_as_it_can_be_applied(self) -> None:
        error = from_status(FORBIDDEN, doing="listing Deployments")
        assert isinstance(error, ClusterForbidden)
        text = str(error.hint).split("\n", 1)[1]
        assert list(yaml.safe_load_all(text)) == error.role

    def test_subresources_and_reasons_after_the_sentence(self) -> None:
        message = cannot("ann", "create", "pods/exec", 'in the namespace "hospitals"')
        message += ': RBAC: role.rbac.authorization.k8s.io "x" not found'
        assert denied(message) == Access("create", "pods/exec", "", "hospitals", "ann")

    def test_names_come_escaped(self) -> None:
        message = cannot("a&lt;b&gt;&amp;c", "list", "pods", 'in the namespace "x"')
        found = denied(message)
        assert found is not None
        assert found.user == "a<b>&c"

    def test_at_the_cluster_scope(self) -> None:
        message = cannot("ann", "create", "namespaces", "at the cluster scope")
        error = from_status({"code": 403, "reason": "Forbidden", "message": message}, doing="creating Namespace x")
        assert isinstance(error, ClusterForbidden)
        assert [item["kind"] for item in error.role] == ["ClusterRole", "ClusterRoleBinding"]
        assert error.role[0]["rules"] == [permissions.as_rule(rule) for rule in CLUSTER_RULES]
        assert "make the namespace beforehand" in str(error.hint)

    def test_what_the_table_has_not_is_added(self) -> None:
        message = cannot("ann", "list", "serviceaccounts", 'in the namespace "x"')
        error = from_status({"code": 403, "message": message}, doing="listing ServiceAccounts")
        assert isinstance(error, ClusterForbidden)
        rules: Any = error.role[0]["rules"]
        assert rules[-1] == {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["list"]}

    def test_nobody(self) -> None:
        message = cannot("system:anonymous", "list", "pods", 'in the namespace "x"')
        assert "No credentials arrived" in str(from_status({"code": 403, "message": message}, doing="x").hint)

    def test_admission_is_no_matter_of_permission(self) -> None:
        message = 'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3'
        error = from_status({"code": 403, "reason": "Forbidden", "message": message}, doing="creating Pod a")
        assert type(error) is ClusterRefused
        assert error.message == (
            "creating Pod a was refused: the quota small of the namespace leaves no room: pods=1 asked for, pods=3 in"
            " use, pods=3 allowed"
        )


class TestOtherRefusals:
    def test_conflicts_are_shown_by_manager_and_field(self) -> None:
        error = from_status(CONFLICT, doing="applying StatefulSet flower-hospital")
        assert isinstance(error, ClusterConflict)
        assert error.conflicts == (
            ("kubectl-edit", ".spec.replicas"),
            ("kubectl-edit", '.spec.template.spec.containers[name="supernode"].image'),
            ("hpa", ".spec.replicas"),
        )
        assert error.message == (
            "applying StatefulSet flower-hospital would overwrite what others have set: kubectl-edit owns"
            ' .spec.replicas, .spec.template.spec.containers[name="supernode"].image; hpa owns .spec.replicas'
        )
        assert error.as_dict()["conflicts"] == [
            {"manager": manager, "field": field} for manager, field in conflicts(CONFLICT)
        ]

    def test_an_immutable_field_has_a_way_out(self) -> None:
        error = from_status(IMMUTABLE, doing="applying StatefulSet flower-hospital")
        assert isinstance(error, ClusterImmutable)
        assert (error.where, error.reason) == ("StatefulSet.apps flower-hospital", "Invalid")
        assert "its claims" in str(error.hint)

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("Job", 'Job.batch "x" is invalid: spec.template: Invalid value: {}: field is immutable'),
            ("Deployment", 'Deployment.apps "x" is invalid: spec.selector: Invalid value: {}: field is immutable'),
            (
                "PersistentVolumeClaim",
                (
                    'PersistentVolumeClaim "x" is invalid: spec: Forbidden: spec is immutable after creation except'
                    " resources.requests and volumeAttributesClassName for bound claims"
                ),
            ),
            (
                "PersistentVolumeClaim",
                (
                    'PersistentVolumeClaim "x" is invalid: spec.resources.requests.storage: Forbidden: field can not'
                    " be less than previous value"
                ),
            ),
        ],
    )
    def test_every_kind_says_so_in_its_own_words(self, kind: str, message: str) -> None:
        status = {"code": 422, "reason": "Invalid", "message": message, "details": {"kind": kind, "name": "x"}}
        assert isinstance(from_status(status, doing=f"applying {kind} x"), ClusterImmutable)

    def test_what_is_invalid_is_told_field_by_field(self) -> None:
        cause = {
            "reason": "FieldValueInvalid",
            "field": "metadata.name",
            "message": 'Invalid value: "A": must be lower',
        }
        status = {"code": 422, "reason": "Invalid", "message": "…", "details": {"kind": "Pod", "causes": [cause]}}
        error = from_status(status, doing="applying Pod A")
        assert type(error) is ClusterRefused
        assert error.message.endswith('invalid: metadata.name: Invalid value: "A": must be lower')

    def test_a_namespace_that_is_not_there(self) -> None:
        status = {
            "code": 404,
            "reason": "NotFound",
            "message": 'namespaces "x" not found',
            "details": {"kind": "namespaces", "name": "x"},
        }
        error = from_status(status, doing="applying Service a")
        assert error.message == "there is no namespace x (applying Service a)"
        assert "metadata.namespace" in str(error.hint)

    def test_a_namespace_on_its_way_out(self) -> None:
        message = (
            'configmaps "a" is forbidden: unable to create new content in namespace x because it is being terminated'
        )
        error = from_status({"code": 403, "reason": "Forbidden", "message": message}, doing="applying ConfigMap a")
        assert error.message.endswith("the namespace x is being deleted")

    def test_kubernetes_own_word_is_kept(self) -> None:
        status = {"code": 409, "reason": "AlreadyExists", "details": {"kind": "configmaps", "name": "a"}}
        error = from_status(status, doing="creating ConfigMap a")
        assert isinstance(error, ClusterRefused)
        assert error.reason == "AlreadyExists"
        assert error.as_dict()["reason"] == "AlreadyExists"

    def test_the_same_moment(self) -> None:
        status = {"code": 409, "reason": "Conflict", "message": "the object has been modified"}
        error = from_status(status, doing="x")
        assert type(error) is ClusterRefused
        assert "again" in str(error.hint)

    def test_credentials_that_are_not_accepted(self) -> None:
        error = from_status({"code": 401, "reason": "Unauthorized", "message": "Unauthorized"}, doing="listing Pods")
        assert isinstance(error, ClusterRefused)
        assert "log in" in str(error.hint)

    def test_a_server_that_cannot_just_now(self) -> None:
        status = {"code": 503, "reason": "ServiceUnavailable", "message": "apiserver is shutting down"}
        assert isinstance(from_status(status, doing="x"), ClusterUnreachable)

    @pytest.mark.parametrize("status", [{}, {"code": None, "message": None, "details": []}, {"code": "403"}])
    def test_an_answer_with_nothing_in_it(self, status: Object) -> None:
        error = from_status(status, doing="listing Pods")
        assert isinstance(error, ClusterRefused)
        assert error.exit_code == 1


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([FORBIDDEN, CONFLICT, IMMUTABLE]),
    st.sampled_from(["code", "reason", "message", "details", "status"]),
    JSON,
)
def test_odd_statuses_never_raise(status: Object, key: str, value: Any) -> None:
    assert isinstance(from_status(copy.deepcopy(status) | {key: value}, doing="x"), ClusterError)


class TestRole:
    def test_it_is_the_table(self) -> None:
        role, binding = permissions.role("flowerbed", "hospitals", "ann")
        assert role["kind"] == "Role"
        assert len(role["rules"]) == len(RULES)
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flowerbed"}
        assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}]

    def test_nothing_is_allowed_twice_or_without_a_reason(self) -> None:
        assert len({(rule.group, rule.resource) for rule in RULES}) == len(RULES)
        assert all(rule.why and rule.verbs and "*" not in rule.verbs for rule in (*RULES, *CLUSTER_RULES))

    def test_who_only_runs_apps_may_do_less_and_nothing_else(self) -> None:
        verbs = {(rule.group, rule.resource): set(rule.verbs) for rule in RULES}
        assert all(set(rule.verbs) <= verbs[rule.group, rule.resource] for rule in RUN_RULES)
        changing = {rule.resource for rule in RUN_RULES if {"create", "patch", "delete"} & set(rule.verbs)}
        assert changing == {"configmaps", "jobs", "pods/exec"}
        assert not {"services", "networkpolicies", "poddisruptionbudgets", "namespaces"} & {
            rule.resource for rule in RUN_RULES
        }

    def test_who_only_runs_apps_reads_no_secret(self) -> None:
        assert not any(rule.resource == "secrets" for rule in (*RUN_RULES, *CLUSTER_RULES))

    def test_exec_by_websocket_needs_both_verbs(self) -> None:
        """``get`` for the request itself, and ``create`` since Kubernetes 1.35."""
        assert all(permissions.allows(RULES, verb, "pods/exec", "") for verb in ("get", "create"))

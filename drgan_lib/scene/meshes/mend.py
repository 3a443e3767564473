"""Repair of a user's surface, with a list of what was wrong and what was done."""

import itertools

import manifold3d
import numpy as np
import trimesh

from drgan_lib.scene.meshes.convention import MeshError, normalise
from drgan_lib.scene.meshes.measures import self_intersections

MAX_HOLE = 0.3  # most open edges that are closed by guessing: their length in diagonals of the mesh
CRUMB = 0.05  # a second body below this share of the largest one's volume is left out
SHARP_EDGE = np.radians(45)  # edges at which the faces turn by more stay sharp in the image
FLAT = 1e-4  # a part within this distance of a plane, in diagonals of the mesh, needs no vertices of its own
THIN = 1e-6  # least volume, as a share of the diagonal cubed


def repair(mesh: trimesh.Trimesh, *, max_triangles: int) -> tuple[trimesh.Trimesh, list[str]]:
    """A particle mesh (see the package) made of any triangles, and the findings in words, empty if nothing was wrong.

    Merges duplicate vertices, drops broken and duplicate faces, closes small holes, turns faces outwards, joins
    overlapping bodies, drops crumbs, and simplifies to `max_triangles`. `MeshError` where that cannot help.
    """
    findings: list[str] = []
    mesh = _unit(mesh)
    _merge(mesh, findings)
    bodies = [_close(body, findings) for body in mesh.split(only_watertight=False, repair=False)]
    solid = normalise(_simplify(_one_body(bodies, findings), max_triangles, findings))
    if solid.face_adjacency_angles.max() > SHARP_EDGE:
        solid.metadata["shaded"] = trimesh.graph.smooth_shade(solid, angle=SHARP_EDGE, facet_minarea=None)
    if crossings := self_intersections(solid):
        findings.append(
            f"the surface cuts through itself ({crossings} pairs of triangles); it renders, but look at it: "
            "Blender's modifier Remesh mends it"
        )
    return solid, findings


def _unit(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A bare copy with a diagonal of 1, whatever unit the file was in; `MeshError` if it has no extent."""
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces; export it as a surface, not as a point cloud")
    vertices = np.asarray(mesh.vertices, dtype=float)
    if broken := int((~np.isfinite(vertices)).any(axis=1).sum()):
        raise MeshError(f"{broken} of {len(vertices)} vertices are not finite numbers; export the mesh again")
    used = vertices[np.unique(mesh.faces)]
    low, high = used.min(axis=0), used.max(axis=0)
    if not (diagonal := np.linalg.norm(high - low)) > 0:
        raise MeshError("all vertices are in one place; a particle needs an extent")
    return trimesh.Trimesh((vertices - (low + high) / 2) / diagonal, mesh.faces, process=False)


def _merge(mesh: trimesh.Trimesh, findings: list[str]) -> None:
    """Joins vertices at the same place, then drops faces without area and repeated ones; checks the edges."""
    mesh.remove_unreferenced_vertices()
    before = len(mesh.vertices)
    mesh.merge_vertices(digits_vertex=6)
    if merged := before - len(mesh.vertices):
        findings.append(f"{merged} duplicate vertices merged")
    a, b, c = mesh.faces.T
    whole = (a != b) & (b != c) & (c != a)
    if not whole.all():
        findings.append(f"{(~whole).sum()} faces without area removed")
        mesh.update_faces(whole)
    once = mesh.unique_faces()
    if not once.all():
        findings.append(f"{(~once).sum()} duplicate faces removed")
        mesh.update_faces(once)
    mesh.remove_unreferenced_vertices()
    if len(mesh.faces) == 0:
        raise MeshError("no face of the mesh has an area; a particle needs a closed surface")
    _, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    if crowded := int((counts > 2).sum()):
        raise MeshError(
            f"{crowded} edges have more than two faces (inner walls, or bodies that share an edge); remove the inner "
            "faces (Blender: Select > All by Trait > Non Manifold), or apply the modifier Remesh"
        )


def _close(body: trimesh.Trimesh, findings: list[str]) -> trimesh.Trimesh:
    """One connected surface, closed and turned outwards."""
    mixed = not body.is_winding_consistent
    if mixed:
        trimesh.repair.fix_winding(body)
        findings.append("faces that pointed the other way than their neighbours turned")
    _fill(body, findings)
    if body.volume < 0:
        body.invert()
        if not mixed:
            findings.append("the surface was inside out; turned")
    if not body.is_winding_consistent:
        raise MeshError("the surface has only one side (a Moebius strip); a particle needs an inside and an outside")
    return body


def _fill(body: trimesh.Trimesh, findings: list[str]) -> None:
    """Closes small holes in place; `MeshError` with the number of open edges if one stays open."""
    edges, counts = np.unique(body.edges_sorted, axis=0, return_counts=True)
    open_edges = edges[counts == 1]
    if len(open_edges) == 0:
        return
    length = np.linalg.norm(np.diff(body.vertices[open_edges], axis=1)[:, 0], axis=1).sum()
    if length <= MAX_HOLE and trimesh.repair.fill_holes(body, use_fan=True):
        findings.append(f"small holes closed ({len(open_edges)} open edges)")
        return
    raise MeshError(
        f"the mesh is open: {len(open_edges)} edges have only one face, and the holes are too large to close by "
        f"guessing (their edges add up to {length:.2g} times the diagonal, at most {MAX_HOLE} are closed); fill them "
        "(Blender: edit mode, select the rim, Face > Fill)"
    )


def _one_body(bodies: list[trimesh.Trimesh], findings: list[str]) -> trimesh.Trimesh:
    """The particle among closed bodies: overlapping ones are joined, and then one must be by far the largest."""
    flat = [body for body in bodies if not body.volume > THIN * body.scale**3]
    solids = [body for body in bodies if body.volume > THIN * body.scale**3]
    if not solids:
        raise MeshError("the mesh encloses no volume (a flat sheet?); a particle needs one")
    if flat:
        findings.append(f"{len(flat)} bodies without volume left out")
    if len(solids) == 1:
        return solids[0]
    joined = trimesh.boolean.union(solids, engine="manifold")
    apart = sorted(joined.split(only_watertight=True), key=lambda body: -body.volume)
    apart = [body for body in apart if body.volume > 0]
    if len(apart) < len(solids):
        findings.append(f"{len(solids)} bodies that overlap or lie in each other joined into {len(apart)}")
    sizes = [body.volume / apart[0].volume for body in apart]
    if len(sizes) > 1 and sizes[1] > CRUMB:
        raise MeshError(
            f"{len(apart)} separate bodies, the second with {100 * sizes[1]:.0f} % of the volume of the largest; a "
            "file is one particle: export each body to a file of its own"
        )
    if len(sizes) > 1:
        findings.append(f"{len(apart) - 1} small bodies left out ({100 * sum(sizes[1:]):.2g} % of the volume)")
    return apart[0]


def _simplify(mesh: trimesh.Trimesh, max_triangles: int, findings: list[str]) -> trimesh.Trimesh:
    """At most `max_triangles` triangles, still closed: flat parts first, then by quadric decimation."""
    before = len(mesh.faces)
    if before <= max_triangles:
        return mesh
    surface = manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    surface = manifold3d.Manifold(surface).simplify(FLAT).to_mesh()
    plain = trimesh.Trimesh(surface.vert_properties, surface.tri_verts, process=False)
    # The decimation stops early if it may change little per pass, and may tear thin parts if it may change much.
    tries = (plain.simplify_quadric_decimation(face_count=max_triangles, aggression=k) for k in (3, 5, 7))
    for simple in itertools.chain([plain], tries):
        if simple.is_watertight and 0 < len(simple.faces) <= max_triangles and simple.volume > 0:
            change = 100 * abs(simple.volume / mesh.volume - 1)
            findings.append(f"{before} triangles simplified to {len(simple.faces)} (volume changed by {change:.2g} %)")
            return simple
    raise MeshError(
        f"{before} triangles could not be simplified to max_triangles {max_triangles} without tearing the surface; "
        "simplify it (Blender: the modifiers Remesh, then Decimate), or raise meshes.max_triangles"
    )

"""Particle shapes: seven kinds made from settings and a seed, and the user's files, repaired.

Every mesh is watertight with outward normals, centred at its centroid, and lies as it would on the support, y up.
Cubes, spheres, ellipsoids, octahedra and platelets have unit equivalent diameter (the volume of a sphere of diameter
1); rods and wires lie along x and the cross-section of their middle has the area of a circle of diameter 1. A layout's
scale is then the size in scene units: the equivalent diameter, of rods and wires the thickness. The user's meshes have
the unit size of the kind `meshes.shape` that they stand for, and lie as in their files.

Sharp edges are rounded by a few narrow faces, not split: the mesh stays closed, and averaged normals are those of the
flat face up to its rim (see `polyhedra`).
"""

from drgan_lib.scene.meshes.convention import MeshError, convex_parts, meshes_digest, normalise, shaded
from drgan_lib.scene.meshes.files import import_meshes, read_mesh, read_meshes
from drgan_lib.scene.meshes.make import generate_meshes, make_meshes, write_meshes
from drgan_lib.scene.meshes.measures import as_elongated, differences, self_intersections, thickness, variety
from drgan_lib.scene.meshes.mend import repair

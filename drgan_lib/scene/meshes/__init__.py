"""Particle shapes: seven kinds made from settings and a seed, and the user's files, repaired.

Every mesh is watertight with outward normals, centred at its centroid, and lies as it would on the support, y up.
Cubes, spheres, ellipsoids, octahedra and platelets have unit equivalent diameter (the volume of a sphere of diameter
1); rods and wires lie along x and the cross-section of their middle has the area of a circle of diameter 1. A layout's
scale is then the size in scene units: the equivalent diameter, of rods and wires the thickness. The user's meshes have
the unit size of the kind `meshes.shape` that they stand for, and lie as in their files.

Sharp edges are rounded by a few narrow faces, not split: the mesh stays closed, and averaged normals are those of the
flat face up to its rim (see `polyhedra`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
